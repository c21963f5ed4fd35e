//! A client's request: what it asks for, or why it is refused.

use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};

use super::SUBSCRIBE_JETSTREAM;
use super::door::Door;
use super::fault::ConnectFault;
use super::hub::count;
use super::jetstream::Options;

/// What a client asks for.
pub(super) enum Asked {
    /// The frames of the stream in this place, from a cursor on.
    Frames(usize, Option<u64>),
    /// The events of the first stream.
    Events(Options),
}

/// Reads the request: only the paths that are served, and a cursor that is a number.
pub(super) struct Subscribe<'a> {
    pub(super) door: &'a Door,
    /// What it is answered instead.
    pub(super) answer: Option<&'a ConnectFault>,
    /// What it asks for.
    pub(super) asked: &'a mut Option<Asked>,
}

impl Callback for Subscribe<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let refuse = |status, error, message: &str| {
            count(&self.door.counters.refused, 1);
            xrpc_error(status, error, message)
        };
        if let Some(&ConnectFault::Answer { status, retry_after, html }) = self.answer {
            count(&self.door.counters.refused, 1);
            return Err(answer(status, retry_after, html));
        }
        let bad = |message: &str| refuse(StatusCode::BAD_REQUEST, "InvalidRequest", message);
        let query = request.uri().query().unwrap_or_default();
        let path = request.uri().path();
        let jetstream = self.door.jetstream.as_ref().filter(|_| path == SUBSCRIBE_JETSTREAM);
        *self.asked = match (self.door.wanted(path), jetstream) {
            (Some(wanted), _) => {
                let given = query.split('&').find_map(|pair| pair.strip_prefix("cursor="));
                let cursor =
                    given.map(str::parse).transpose().map_err(|_| bad("cursor must be an integer"))?;
                Some(Asked::Frames(wanted, cursor))
            }
            (None, Some(jetstream)) => {
                let options = Options::of_query(query).and_then(|options| options.within(jetstream));
                Some(Asked::Events(options.map_err(|error| bad(&error.to_string()))?))
            }
            (None, None) => {
                return Err(refuse(StatusCode::NOT_FOUND, "MethodNotImplemented", "Method Not Implemented"));
            }
        };
        Ok(response)
    }
}

/// An answer as a server in trouble gives it, or the proxy before it.
fn answer(status: u16, retry_after: Option<u64>, html: bool) -> ErrorResponse {
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|status| !status.is_success() && !status.is_informational())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = xrpc_error(status, "OnPurpose", "refused on purpose");
    let mut kind = "application/json";
    if html {
        kind = "text/html; charset=utf-8";
        *response.body_mut() = Some(format!("<html><body><h1>{status}</h1></body></html>\n"));
    }
    let length = response.body().as_ref().map_or(0, String::len);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn xrpc_error(status: StatusCode, error: &str, message: &str) -> ErrorResponse {
    let body = format!(r#"{{"error":"{error}","message":"{message}"}}"#);
    let mut response = ErrorResponse::new(Some(body));
    *response.status_mut() = status;
    response
}
