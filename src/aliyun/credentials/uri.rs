//! A URI that answers with temporary credentials.

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request, Url};

use super::http::{HttpService, Patience, Route};
use super::{Fetch, FetchError, Fetched, ProviderDeps, sts_response};
use crate::config::HiddenUrl;
use crate::presence::BoxFuture;

const VARIABLE: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";

#[derive(Debug)]
pub(super) struct Uri {
    uri: Result<HiddenUrl, FetchError>,
    service: HttpService,
}

impl Uri {
    pub(super) fn new(uri: Option<&HiddenUrl>, deps: &ProviderDeps) -> Self {
        let in_env = || match deps.env.get(VARIABLE) {
            None => Err(FetchError::NotConfigured(format!("{VARIABLE} is not set"))),
            Some(text) => match Url::parse(text) {
                Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(HiddenUrl::new(url)),
                _ => Err(FetchError::Failed(format!(
                    "{VARIABLE} is not a URL that begins with http:// or https://"
                ))),
            },
        };
        let service =
            HttpService::new("the credentials URI", Route::Usual, Patience::NETWORK, deps);
        Self {
            uri: uri.cloned().map_or_else(in_env, Ok),
            service,
        }
    }

    async fn ask(&self) -> Result<Fetched, FetchError> {
        let url = self.uri.as_ref().map_err(Clone::clone)?.expose();
        let failed = |why: String| FetchError::Failed(format!("{}: {why}", self.service.at(url)));
        let mut request = Request::new(Method::GET, url.clone());
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static("application/json"));
        let reply = self.service.exchange(request).await?;
        if reply.status != 200 {
            return Err(failed(format!("HTTP status {}", reply.status)));
        }
        let issued = sts_response::from_service(&reply.body).map_err(failed)?;
        Ok(Fetched {
            credentials: issued.credentials,
            expires: Some(reply.by_our_clock(issued.expires)),
        })
    }
}

impl Fetch for Uri {
    fn kind(&self) -> &'static str {
        "uri"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, FetchError>> {
        Box::pin(self.ask())
    }
}
