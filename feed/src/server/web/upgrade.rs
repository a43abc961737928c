//! The request that a WebSocket begins with: which page it comes from, and who it says it is.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use tungstenite::{
    handshake::server::{Callback, ErrorResponse, Request, Response},
    http::StatusCode,
};

/// Who a client says it is.
pub(super) struct WebLogin {
    pub(super) user: String,
    pub(super) password: Password,
}

/// A password, which is not printed.
#[derive(Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub(super) struct Password(pub(super) String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What a request showed, left for whoever goes on with the connection.
#[derive(Default)]
pub(super) struct Shown(Arc<Mutex<Option<WebLogin>>>);

impl Shown {
    pub(super) fn take(self) -> Option<WebLogin> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Looks at the request.
pub(super) struct Upgrade {
    /// Pages that a browser may come from; none: all.
    origins: Arc<[String]>,
    shown: Arc<Mutex<Option<WebLogin>>>,
}

impl Upgrade {
    pub(super) fn new(origins: Arc<[String]>, shown: &Shown) -> Self {
        Self { origins, shown: Arc::clone(&shown.0) }
    }
}

impl Callback for Upgrade {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        // What is no browser names no page. Without a list all pages may come: a login stands in none.
        let origin = request.headers().get("origin");
        let may = self.origins.is_empty()
            || origin
                .is_none_or(|origin| self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()));
        if !may {
            return Err(refusal(StatusCode::FORBIDDEN));
        }
        if let Some(value) = request.headers().get("authorization") {
            let login = basic(value.as_bytes()).ok_or_else(|| refusal(StatusCode::BAD_REQUEST))?;
            *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(login);
        }
        Ok(response)
    }
}

fn refusal(status: StatusCode) -> ErrorResponse {
    let mut refusal = ErrorResponse::new(None);
    *refusal.status_mut() = status;
    refusal
}

/// The user and the password in a value of `Authorization`, as HTTP's Basic scheme has them (RFC 7617).
pub(super) fn basic(value: &[u8]) -> Option<WebLogin> {
    let (scheme, coded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let coded = std::str::from_utf8(coded).ok()?.trim_matches(' ');
    let text = String::from_utf8(Base64::decode_vec(coded).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(WebLogin { user: user.to_owned(), password: Password(password.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_read_or_refused() {
        let login = basic(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").expect("RFC 7617's own");
        assert_eq!((&*login.user, &*login.password.0), ("Aladdin", "open sesame"));
        let login = basic(b"basic  YTpiOmM=").expect("colons are the password's");
        assert_eq!((&*login.user, &*login.password.0), ("a", "b:c"));
        assert!(!format!("{:?}", login.password).contains("b:c"));
        for wrong in ["", "Basic", "Basic ", "Bearer YTpi", "Basic YQ==", "Basic YTpi!", "Basic /////w=="] {
            assert!(basic(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
