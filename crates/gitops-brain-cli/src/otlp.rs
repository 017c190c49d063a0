//! Traces of requests, to an OpenTelemetry collector.

use std::env;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracerProvider, Tracer},
};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use crate::exit::Failure;

/// Where a collector is, as OpenTelemetry's specification has it.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// What sends traces; what is left is sent when it is dropped.
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Begins, if a collector is named. To be called outside of an asynchronous runtime.
    pub(crate) fn begin() -> Result<Self, Failure> {
        if ENDPOINTS.iter().all(|name| env::var_os(name).is_none()) {
            return Ok(Self(None));
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .build()
            .map_err(|error| Failure::usage(format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}")))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name("gitops-brain").build())
            .build();
        Ok(Self(Some(provider)))
    }

    /// What passes spans on.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(
        &self,
    ) -> Option<OpenTelemetryLayer<S, Tracer>> {
        let provider = self.0.as_ref()?;
        Some(tracing_opentelemetry::layer().with_tracer(provider.tracer("gitops-brain")))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "not all traces were sent");
        }
    }
}
