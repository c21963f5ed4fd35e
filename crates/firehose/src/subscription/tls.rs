//! TLS by rustls, with ring: the provider of cryptography is named, nothing depends on a default of the process.

use std::sync::Arc;

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{builder::Settings, connection::Socket};
use crate::ConnectionError;

/// Makes the connection to `host` a secure one.
pub(super) async fn connect(
    socket: TcpStream,
    host: &str,
    settings: &Settings,
) -> Result<Box<dyn Socket>, ConnectionError> {
    let never = |error: &dyn ToString| ConnectionError::Tls {
        source: std::io::Error::other(error.to_string()),
        refused: true,
    };
    let config = match &settings.tls {
        Some(config) => Arc::clone(config),
        None => built_in().map_err(|error| never(&error))?,
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| never(&error))?;
    match TlsConnector::from(config).connect(name, socket).await {
        Ok(socket) => Ok(Box::new(socket)),
        Err(source) => {
            let tls = source.get_ref().and_then(|inner| inner.downcast_ref());
            let refused = matches!(tls, Some(rustls::Error::InvalidCertificate(_)));
            Err(ConnectionError::Tls { source, refused })
        }
    }
}

/// The roots of trust that the crate's features name.
#[cfg(any(feature = "webpki-roots", feature = "native-roots"))]
fn built_in() -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    #[cfg(feature = "webpki-roots")]
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    // What of the system's store cannot be read is left out: a server that needed it is refused by name.
    #[cfg(feature = "native-roots")]
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Without a feature that names roots, a configuration must be given.
#[cfg(not(any(feature = "webpki-roots", feature = "native-roots")))]
fn built_in() -> Result<Arc<ClientConfig>, rustls::Error> {
    Err(rustls::Error::General(
        "no roots of trust: enable the feature `webpki-roots` or `native-roots`, or give a configuration"
            .to_owned(),
    ))
}
