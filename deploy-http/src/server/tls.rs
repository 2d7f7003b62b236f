//! TLS of the server.

use std::fmt;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::error::ConfigureError;
use crate::tls::{TlsIdentity, add_roots, provider};

/// How a server speaks TLS: 1.2 or 1.3, for HTTP/1.1.
///
/// ```no_run
/// # use deploy_http::{ConfigureError, ServeConfig, ServerTls, TlsIdentity};
/// # fn example(identity: &TlsIdentity, clients: &[u8]) -> Result<(), ConfigureError> {
/// // Whoever has no certificate of these authorities is not heard at all.
/// let tls = ServerTls::mutual(identity, clients)?;
/// let config = ServeConfig::new().with_tls(tls);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    mutual: bool,
}

impl ServerTls {
    /// Shows an identity to every client, and asks for none.
    ///
    /// # Errors
    ///
    /// `Identity` when the identity cannot be used.
    pub fn new(identity: &TlsIdentity) -> Result<Self, ConfigureError> {
        Self::with(identity, None)
    }

    /// Shows an identity to every client, and hears only those that show a certificate for clients
    /// which one of these authorities, certificates in PEM, has signed. What each may do its token
    /// says.
    ///
    /// # Errors
    ///
    /// `Identity` when the identity cannot be used, `RootCertificate` when an authority is not one.
    pub fn mutual(identity: &TlsIdentity, authorities: &[u8]) -> Result<Self, ConfigureError> {
        let mut roots = RootCertStore::empty();
        add_roots(&mut roots, authorities)?;
        Self::with(identity, Some(roots))
    }

    fn with(
        identity: &TlsIdentity,
        clients: Option<RootCertStore>,
    ) -> Result<Self, ConfigureError> {
        let mutual = clients.is_some();
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| ConfigureError::Identity { source: error.into() })?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(roots) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider())
                    .build()
                    .map_err(|error| ConfigureError::RootCertificate { source: error.into() })?,
            ),
        };
        let mut config = builder.with_cert_resolver(identity.resolver());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), mutual })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("mutual", &self.mutual).finish_non_exhaustive()
    }
}
