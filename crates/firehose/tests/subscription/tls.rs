//! TLS: a server that a client's roots vouch for, and one that they do not.

use std::sync::Arc;

use futures_util::SinkExt;
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer};
use skytide_firehose::{ConnectionError, Error, Subscription};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{accept_async, tungstenite::Message};

use super::support::*;

/// A server of one frame a connection, and the roots that vouch for it.
async fn serve() -> (String, RootCertStore) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = issued.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(socket) = acceptor.accept(socket).await else { continue };
            let Ok(mut socket) = accept_async(socket).await else { continue };
            socket.send(Message::Binary(identity(1).into())).await.unwrap();
            socket.send(Message::Binary(identity_of(2, 3_000_000).into())).await.unwrap();
            socket.close(None).await.ok();
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    (format!("wss://localhost:{port}"), roots)
}

async fn a_server_that_is_vouched_for_is_read(way: Way) {
    let (url, roots) = serve().await;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client = way.open(Subscription::repos(&url).tls(Arc::new(config)).backoff(at_once()));
    assert_eq!(seqs(&mut client, 2).await, [1, 2]);
}

async fn a_server_that_nobody_vouches_for_ends_it(way: Way) {
    let (url, _) = serve().await;
    let mut client = way.open(Subscription::repos(&url).backoff(at_once()));
    let error = client.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Connection(ConnectionError::Tls { refused: true, .. })), "{error:?}");
    assert!(error.to_string().starts_with("TLS failed: invalid peer certificate"), "{error}");
    assert!(client.next().await.is_none());
}

both_ways! {
    a_server_that_is_vouched_for_is_read,
    a_server_that_nobody_vouches_for_ends_it,
}
