//! An issuer of tokens and an authority of certificates for one test, and a server that trusts both.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, DnType, Issuer as Signer, KeyPair, SanType};
use serde_json::{Value, json};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tsio_test_support::signer;

use crate::harness::{Db, Server};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "tsio";

/// A key that tokens are signed with.
pub(crate) struct SigningKey {
    pub(crate) id: String,
    pub(crate) pair: KeyPair,
}

impl SigningKey {
    pub(crate) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), pair: KeyPair::generate().unwrap() }
    }

    /// The public key in the form in which the issuer publishes it.
    pub(crate) fn published(&self) -> Value {
        let point = self.pair.public_key_raw();
        let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(&point[1..33]), BASE64_URL_SAFE_NO_PAD.encode(&point[33..65]));
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": x, "y": y })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header(), claims)
    }

    /// The header of the tokens that [`Self::sign`] makes.
    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "JWT", "alg": "ES256", "kid": self.id })
    }

    /// A token with another header.
    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        signer::es256(header, claims, self.pair.serialized_der())
    }
}

pub(crate) fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a token is made for the moment it is used in")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Claims that are valid for an hour.
pub(crate) fn claims(actor: &str, roles: &[&str], regions: &[&str]) -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": actor, "exp": now() + 3_600, "iat": now(),
        "roles": roles, "regions": regions,
    })
}

/// Replaces a key set atomically, as an issuer should.
pub(crate) fn publish(path: &Path, keys: &[Value]) {
    let new = path.with_extension("new");
    fs::write(&new, json!({ "keys": keys }).to_string()).unwrap();
    fs::rename(&new, path).unwrap();
}

/// A certificate authority.
pub(crate) struct Authority {
    signer: Signer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // The authority has another name than the certificates that it signs. A certificate with the name of its issuer
        // would count as self-signed.
        params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { signer: Signer::new(params, key), pem }
    }

    /// Signs a certificate for these names. Returns the certificate and its key, both in PEM.
    pub(crate) fn sign(&self, names: &[SanType]) -> (String, String) {
        self.sign_with(CertificateParams::new(Vec::new()).unwrap(), names)
    }

    fn sign_with(&self, mut params: CertificateParams, names: &[SanType]) -> (String, String) {
        params.subject_alt_names = names.to_vec();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.signer).unwrap().pem(), key.serialize_pem())
    }

    /// Signs a certificate for a service with this URI.
    pub(crate) fn service(&self, uri: &str) -> (String, String) {
        self.sign(&[SanType::URI(uri.try_into().unwrap())])
    }

    /// Signs a certificate for a service, which expires after this second since 1970.
    pub(crate) fn service_until(&self, uri: &str, last: Duration) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + last;
        self.sign_with(params, &[SanType::URI(uri.try_into().unwrap())])
    }
}

/// A server over TLS that accepts callers with a token or a certificate.
pub(crate) struct Guarded {
    pub(crate) server: Server,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) key: SigningKey,
    pub(crate) authority: Authority,
}

impl Guarded {
    /// Starts a server that knows the service `spiffe://dfe.example/reconciliation`, with the role finance. `more` is
    /// appended to its configuration.
    pub(crate) fn start(db: &Db, more: &str) -> Self {
        let (folder, key) = (tempfile::tempdir().unwrap(), SigningKey::new("first"));
        let keys = folder.path().join("keys.json");
        publish(&keys, &[key.published()]);
        Self::start_in(folder, db, (key, &keys.display().to_string()), more)
    }

    /// Starts the same server as [`Self::start`], but with this key, and with the issuer's key set at this address.
    pub(crate) fn with_keys(db: &Db, key: SigningKey, keys: &str, more: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), db, (key, keys), more)
    }

    fn start_in(folder: tempfile::TempDir, db: &Db, (key, keys): (SigningKey, &str), more: &str) -> Self {
        let authority = Authority::new();
        let names = [SanType::DnsName("localhost".try_into().unwrap()), SanType::IpAddress([127, 0, 0, 1].into())];
        let (certificate, private_key) = authority.sign(&names);
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("server.pem", &certificate);
        write("server.key", &private_key);
        write("ca.pem", &authority.pem);
        let file = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n\
             [tokens]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nkeys = \"{keys}\"\nleeway_seconds = 0\n\
             [[services]]\nname = \"spiffe://dfe.example/reconciliation\"\nactor = \"reconciliation\"\n\
             roles = [\"finance\"]\n{more}",
            file("server.pem"),
            file("server.key"),
            file("ca.pem"),
        );
        write("tsio.toml", &config);
        let server = Server::start_with(db, &["--config", &file("tsio.toml")]);
        Self { server, folder, key, authority }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.server.address())
    }

    /// Connects over TLS, with this certificate and key if given.
    pub(crate) async fn connect(
        &self,
        certificate_and_key: Option<(String, String)>,
    ) -> Result<Channel, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.authority.pem));
        if let Some((certificate, key)) = certificate_and_key {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        Endpoint::from_shared(self.url()).unwrap().tls_config(tls).unwrap().connect().await
    }
}
