//! Nodes that show one another certificates of one authority, and whoever has none.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use axum::routing::get;
use axum::{Json, Router};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use recant_cluster::Address;
use recant_replication::{
    PeerError, PeerIdentity, PeerIdentityError, PeerIdentityFiles, PeerListener, Peers,
};
use tempfile::TempDir;

/// Who gives nodes their certificates.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let mut its = CertificateParams::new(Vec::<String>::new()).expect("no names");
        its.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = its.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("authority.pem"), certificate.pem()).expect("written");
        Self {
            folder,
            issuer: Issuer::new(its, key),
        }
    }

    /// Files of a node that is reached by this name.
    fn files(&self, name: &str) -> PeerIdentityFiles {
        let path = |what: &str| self.folder.path().join(format!("{name}-{what}.pem"));
        let files = PeerIdentityFiles {
            certificate: path("certificate"),
            key: path("key"),
            authority: self.folder.path().join("authority.pem"),
        };
        self.sign(name, &files);
        files
    }

    fn sign(&self, name: &str, files: &PeerIdentityFiles) {
        let key = KeyPair::generate().expect("a key");
        let its = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = its.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(&files.certificate, certificate.pem()).expect("written");
        fs::write(&files.key, key.serialize_pem()).expect("written");
    }

    fn node(&self, name: &str) -> PeerIdentity {
        PeerIdentity::read(self.files(name)).expect("good files")
    }
}

async fn serve(identity: Option<PeerIdentity>) -> SocketAddr {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = PeerListener::bind(any, identity).await.expect("a port");
    let address = axum::serve::Listener::local_addr(&listener).expect("it is bound");
    let routes = Router::new().route("/number", get(async || Json(7)));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn ask(identity: Option<PeerIdentity>, to: &str) -> Result<u32, PeerError> {
    let to = Address(to.to_owned());
    Peers::new(identity).get(&to, "/number").await
}

#[tokio::test]
async fn nodes_of_one_authority_speak_and_nobody_else_is_let_in() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let at = serve(Some(ours.node("localhost"))).await;
    let secure = format!("https://localhost:{}", at.port());
    let answer = ask(Some(ours.node("b.internal")), &secure).await;
    assert_eq!(answer.expect("a node of the same authority"), 7);
    for stranger in [Some(theirs.node("b.internal")), None] {
        assert!(ask(stranger, &secure).await.is_err());
    }
    let open = format!("http://localhost:{}", at.port());
    assert!(ask(None, &open).await.is_err());
    // A node with certificates neither speaks to one without, nor to one of another name.
    let plain = serve(None).await;
    for to in [
        format!("http://{plain}"),
        format!("https://{plain}"),
        format!("https://127.0.0.1:{}", at.port()),
    ] {
        let refused = ask(Some(ours.node("b.internal")), &to).await;
        let error = refused.expect_err("nobody it knows");
        assert!(error.was_not_sent(), "{to}: {error}");
    }
    assert_eq!(
        ask(None, &format!("http://{plain}")).await.expect("open"),
        7
    );
}

#[tokio::test]
async fn a_renewed_certificate_counts_for_the_connections_after_it() {
    let authority = Authority::new();
    let files = authority.files("localhost");
    let identity = PeerIdentity::read(files.clone()).expect("good files");
    let at = serve(Some(identity.clone())).await;
    let to = format!("https://localhost:{}", at.port());
    authority.sign("elsewhere", &files);
    assert_eq!(
        ask(Some(authority.node("b")), &to)
            .await
            .expect("the old one"),
        7
    );
    identity.renew().expect("good files");
    assert!(ask(Some(authority.node("b")), &to).await.is_err());
    // Files that are of no use change nothing.
    authority.sign("localhost", &files);
    identity.renew().expect("good files");
    fs::write(&files.key, "no key").expect("written");
    let refused = identity.renew().expect_err("no key");
    assert!(matches!(&refused, PeerIdentityError::Unfit { path, .. } if *path == files.key));
    assert!(!format!("{refused} {refused:?}").contains("no key\""));
    assert_eq!(
        ask(Some(authority.node("b")), &to)
            .await
            .expect("as before"),
        7
    );
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_told_from_one_that_is_silent() {
    let at = serve(None).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = free.local_addr().expect("it is bound");
    drop(free);
    let refused = ask(None, &format!("http://{nobody}")).await;
    assert!(matches!(refused, Err(PeerError::Refused)));
    let missing: Result<u32, _> = Peers::new(None)
        .get(&Address(format!("http://{at}")), "/nothing")
        .await;
    assert!(matches!(missing, Err(PeerError::Status(status)) if status == 404));
}

#[test]
fn files_that_are_missing_are_named() {
    let nowhere = Path::new("/nowhere/node.pem").to_owned();
    let files = PeerIdentityFiles {
        certificate: nowhere.clone(),
        key: nowhere.clone(),
        authority: nowhere,
    };
    let refused = PeerIdentity::read(files).err().expect("no files");
    assert!(refused.to_string().contains("/nowhere/node.pem"));
}
