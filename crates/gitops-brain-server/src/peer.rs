//! Who is at the other end of a connection.

use std::net::{IpAddr, Ipv6Addr};

use tokio_rustls::rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};

/// The other end of a connection, as each of its requests has it among its extensions.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Whether nobody between can read along.
    pub(crate) encrypted: bool,
    /// Its certificate, which is by the authority for clients.
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

impl Peer {
    /// Whether its certificate is of one of these DNS names.
    pub(crate) fn is_one_of(&self, names: &[String]) -> bool {
        let Some(certificate) = &self.certificate else { return false };
        let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return false };
        names.iter().any(|name| {
            ServerName::try_from(&**name)
                .is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
        })
    }

    /// What it is counted by. Whoever has one IPv6 address most often has 2^64 of them.
    pub(crate) fn network(&self) -> IpAddr {
        match self.address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            address => address,
        }
    }
}
