//! An authority that signs certificates, for one test.

use deploy_core::Secret;
use deploy_http::TlsIdentity;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server at these names and addresses.
    pub(crate) fn server(&self, names: &[&str]) -> TlsIdentity {
        self.signs(names, ExtendedKeyUsagePurpose::ServerAuth, 2100)
    }

    pub(crate) fn client(&self) -> TlsIdentity {
        self.signs(&[], ExtendedKeyUsagePurpose::ClientAuth, 2100)
    }

    /// A client whose certificate ended with a year.
    pub(crate) fn client_until(&self, year: i32) -> TlsIdentity {
        self.signs(&[], ExtendedKeyUsagePurpose::ClientAuth, year)
    }

    fn signs(&self, names: &[&str], usage: ExtendedKeyUsagePurpose, until: i32) -> TlsIdentity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![usage];
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = Secret::new(key.serialize_pem());
        TlsIdentity::from_pem(certificate.pem().as_bytes(), &key).unwrap()
    }
}
