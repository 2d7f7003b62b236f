//! What both sides of TLS share: who this side is, whom it believes, and how it reckons.

use std::fmt;
use std::sync::Arc;

use deploy_core::Secret;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::error::ConfigureError;

/// Who this side is in TLS: its certificate, those between it and a root, and its private key.
///
/// A server shows it to its clients ([`ServerTls`](crate::ServerTls)), a client to the servers that
/// ask for it ([`HttpExecutorBuilder::identity`](crate::HttpExecutorBuilder::identity)).
///
/// ```no_run
/// use deploy_core::Secret;
/// use deploy_http::TlsIdentity;
///
/// let key = Secret::new(std::fs::read_to_string("agent.key")?);
/// let identity = TlsIdentity::from_pem(&std::fs::read("agent.pem")?, &key)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TlsIdentity(Arc<CertifiedKey>);

impl TlsIdentity {
    /// Reads certificates, this side's own first, and its key: PKCS #8, PKCS #1 or SEC 1. RSA, ECDSA
    /// on P-256 and P-384, Ed25519.
    ///
    /// # Errors
    ///
    /// `Identity` when there is no certificate or no key, one of them is of no known kind, or they
    /// do not belong together.
    pub fn from_pem(certificates: &[u8], key: &Secret) -> Result<Self, ConfigureError> {
        let invalid = |source| ConfigureError::Identity { source };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|error| invalid(error.into()))?;
        if chain.is_empty() {
            return Err(invalid("no certificate in it".into()));
        }
        // What stands in the place of a key is not repeated.
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|_| invalid("no private key in it that can be read".into()))?;
        let pair = CertifiedKey::from_der(chain, key, &provider());
        Ok(Self(Arc::new(pair.map_err(|error| invalid(error.into()))?)))
    }

    /// What gives it to whoever asks.
    pub(crate) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.0)))
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity")
            .field("certificates", &self.0.cert.len())
            .finish_non_exhaustive()
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Adds the certificates of a PEM text to those that are believed.
pub(crate) fn add_roots(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), ConfigureError> {
    let invalid = |source| ConfigureError::RootCertificate { source };
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| invalid(error.into()))?;
        roots.add(certificate).map_err(|error| invalid(error.into()))?;
    }
    if roots.len() == before { Err(invalid("no certificate in it".into())) } else { Ok(()) }
}

/// Says whether a server ended the handshake because of our certificate, or for want of one: what
/// was sent right behind the handshake was not heard then.
#[cfg(feature = "client")]
pub(crate) fn was_not_let_in(error: &(dyn std::error::Error + 'static)) -> bool {
    use rustls::AlertDescription as Alert;

    let mut next = Some(error);
    while let Some(error) = next {
        // What an I/O error is made of is not its source.
        let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = match inside {
            Some(inside) => inside.downcast_ref(),
            None => error.downcast_ref(),
        };
        if let Some(rustls::Error::AlertReceived(alert)) = tls {
            return matches!(
                alert,
                Alert::AccessDenied
                    | Alert::BadCertificate
                    | Alert::CertificateExpired
                    | Alert::CertificateRequired
                    | Alert::CertificateRevoked
                    | Alert::CertificateUnknown
                    | Alert::DecryptError
                    | Alert::UnknownCA
                    | Alert::UnsupportedCertificate
            );
        }
        next = error.source();
    }
    false
}
