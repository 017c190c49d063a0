# gitops-brain in an image of one program, linked statically: no shell, no libraries, no package manager.

FROM rust:1.95.0-slim-bookworm AS build
# SQLite and ring bring C and assembly with them, which musl-gcc compiles; nothing else is needed.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates musl-tools \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /source
COPY . .
ENV CARGO_PROFILE_RELEASE_STRIP=symbols TARGET_CC=musl-gcc
# The certificates are for servers and databases reached over TLS.
RUN target="$(uname -m)-unknown-linux-musl" \
    && cargo build --locked --release --package gitops-brain-cli --target "$target" \
    && install -D "target/$target/release/gitops-brain" /image/gitops-brain \
    && install -D --mode=644 --target-directory=/image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt \
    && install -D --mode=644 --target-directory=/image/licenses LICENSE LICENSE-APACHE LICENSE-MIT \
    && install --directory /data
# There it has nothing but itself, as in the image.
RUN chroot /image /gitops-brain --version

FROM scratch
LABEL org.opencontainers.image.title="gitops-brain" \
      org.opencontainers.image.description="Gives CI its green build back when Flux does the deploying." \
      org.opencontainers.image.source="https://github.com/gitops-brain/gitops-brain" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /image /
# The only place that is written to: the root file system may be read-only.
COPY --from=build --chown=65532:65532 /data /data
VOLUME /data
WORKDIR /data
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/gitops-brain"]
CMD ["serve", "--config", "/etc/gitops-brain/brain.toml"]
