//! The security token service: temporary credentials for a role (pages "`AssumeRole`" and
//! "`AssumeRoleWithOIDC`" of RAM).

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use reqwest::{Method, Request, Url};

use super::http::{HttpReply, HttpService, Patience, Route};
use super::{AccessKey, FetchError, Fetched, ProviderDeps, sts_response};
use crate::aliyun::answer::error_body::{self, ErrorBody};
use crate::aliyun::endpoint::endpoint_of;
use crate::aliyun::failure::text;
use crate::aliyun::nonce::{Nonces as _, RandomNonces};
use crate::aliyun::request::{AGENT, RequestSigner, Stamp};
use crate::aliyun::sign::format_date;
use crate::clock::{Clock, Timestamp};
use crate::config::{Env, Session, Signature};
use crate::secret::{REDACTED, Secret};

const VERSION: &str = "2015-04-01";

/// What a session is called where nobody says otherwise.
const SESSION_NAME: &str = concat!("mqtt-presence-exporter-", env!("CARGO_PKG_VERSION"));

/// A role to assume, and for how long.
#[derive(Clone, Debug)]
pub(super) struct Role {
    arn: String,
    session: String,
    seconds: String,
    policy: Option<String>,
    external_id: Option<String>,
}

/// Where the service is, as far as it is said.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The very address.
    pub(super) endpoint: Option<Url>,
    /// Otherwise, in which region.
    pub(super) region: Option<String>,
    /// And whether inside its VPC.
    pub(super) vpc: Option<bool>,
}

/// The service.
#[derive(Clone, Debug)]
pub(super) struct Sts {
    endpoint: Result<Url, FetchError>,
    service: HttpService,
    clock: Clock,
    signature: Signature,
}

impl Role {
    pub(super) fn new(arn: &str, session: &Session, env: &Env) -> Self {
        let name = session
            .name
            .as_deref()
            .or_else(|| env.get("ALIBABA_CLOUD_ROLE_SESSION_NAME"));
        Self {
            arn: arn.to_owned(),
            session: name.unwrap_or(SESSION_NAME).to_owned(),
            seconds: session.duration.as_secs().to_string(),
            policy: session.policy.clone(),
            external_id: None,
        }
    }

    /// What the role's owner wants to hear from those who may assume it.
    pub(super) fn external_id(self, id: Option<&str>) -> Self {
        Self {
            external_id: id.map(str::to_owned),
            ..self
        }
    }

    fn params(&self) -> Vec<(&'static str, &str)> {
        let mut params = vec![
            ("RoleArn", &*self.arn),
            ("RoleSessionName", &*self.session),
            ("DurationSeconds", &*self.seconds),
        ];
        params.extend(self.policy.as_deref().map(|policy| ("Policy", policy)));
        params.extend(self.external_id.as_deref().map(|id| ("ExternalId", id)));
        params
    }
}

impl Place {
    /// At `endpoint`, or where the environment says.
    pub(super) fn at(endpoint: Option<&Url>) -> Self {
        Self {
            endpoint: endpoint.cloned(),
            ..Self::default()
        }
    }

    fn find(self, env: &Env) -> Result<Url, FetchError> {
        if let Some(endpoint) = self.endpoint {
            return Ok(endpoint);
        }
        let in_env = || {
            env.get("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED")
                .is_some_and(|is| is.eq_ignore_ascii_case("true"))
        };
        let region = self
            .region
            .as_deref()
            .or_else(|| env.get("ALIBABA_CLOUD_STS_REGION"));
        let endpoint = match region {
            Some(region) if self.vpc.unwrap_or_else(in_env) => endpoint_of("sts-vpc", region),
            Some(region) => endpoint_of("sts", region),
            None => return Ok(Url::parse("https://sts.aliyuncs.com/").expect("a URL")),
        };
        endpoint.map_err(|error| {
            FetchError::Failed(format!("the region of the security token service: {error}"))
        })
    }
}

impl Sts {
    pub(super) fn new(place: Place, deps: &ProviderDeps) -> Self {
        Self {
            endpoint: place.find(&deps.env),
            service: HttpService::new(
                "the security token service",
                Route::Usual,
                Patience::NETWORK,
                deps,
            ),
            clock: deps.clock,
            signature: deps.signature,
        }
    }

    /// The credentials of `role`, for one who may assume it. If the service complains of the time
    /// it is asked once more, by its own clock.
    pub(super) async fn assume(
        &self,
        role: &Role,
        caller: &AccessKey,
    ) -> Result<Fetched, FetchError> {
        let endpoint = self.endpoint.clone()?;
        let target = RequestSigner::new(endpoint.clone(), VERSION, self.signature);
        let request = |now: Timestamp| {
            let (date, nonce) = (format_date(now), RandomNonces.fresh());
            let stamp = Stamp {
                date: &date,
                nonce: &nonce,
            };
            target
                .request("AssumeRole", role.params(), caller, stamp)
                .map_err(|error| FetchError::Failed(error.to_string()))
        };
        let mut reply = self.service.exchange(request(self.clock.now())?).await?;
        if let (Some(error), Some((server, _))) = (error_body::read(&reply.body), reply.clocks)
            && error.code.starts_with("InvalidTimeStamp")
        {
            reply = self.service.exchange(request(server)?).await?;
        }
        self.understand(&endpoint, &reply, |text| {
            text::redacted(text, Some(caller)).into_owned()
        })
    }

    /// The credentials of `role`, for one whom the identity provider `provider_arn` gave `token`.
    /// The token is all that the request needs, so it stays out of the URL.
    pub(super) async fn assume_with_oidc(
        &self,
        role: &Role,
        provider_arn: &str,
        token: &Secret,
    ) -> Result<Fetched, FetchError> {
        let endpoint = self.endpoint.clone()?;
        let mut url = endpoint.clone();
        url.query_pairs_mut().extend_pairs([
            ("Action", "AssumeRoleWithOIDC"),
            ("Format", "JSON"),
            ("SignatureNonce", &RandomNonces.fresh()),
            ("Timestamp", &format_date(self.clock.now())),
            ("Version", VERSION),
        ]);
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(role.params())
            .append_pair("OIDCProviderArn", provider_arn)
            .append_pair("OIDCToken", token.expose())
            .finish();
        let mut request = Request::new(Method::POST, url);
        let headers = request.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        *request.body_mut() = Some(form.into());
        let reply = self.service.exchange(request).await?;
        self.understand(&endpoint, &reply, |text| {
            text.replace(token.expose(), REDACTED)
        })
    }

    fn understand(
        &self,
        endpoint: &Url,
        reply: &HttpReply,
        redacted: impl Fn(&str) -> String,
    ) -> Result<Fetched, FetchError> {
        let failed =
            |why: String| FetchError::Failed(format!("{}: {why}", self.service.at(endpoint)));
        if let Some(ErrorBody {
            code,
            message,
            request_id,
        }) = error_body::read(&reply.body)
        {
            let message = text::without_string_to_sign(message, &code);
            let shown = |raw: &str, longest| text::presentable(&redacted(raw), longest);
            let id =
                request_id.map(|id| format!(" (request ID {})", shown(&id, text::LONGEST_CODE)));
            return Err(failed(format!(
                "{}: {}{}; {}",
                shown(&code, text::LONGEST_CODE),
                shown(&message, text::LONGEST_MESSAGE),
                id.unwrap_or_default(),
                advice(&code)
            )));
        }
        if reply.status != 200 {
            return Err(failed(format!(
                "HTTP status {}, and no error of the service's in the answer",
                reply.status
            )));
        }
        let issued = sts_response::from_sts(&reply.body).map_err(failed)?;
        Ok(Fetched {
            credentials: issued.credentials,
            expires: Some(reply.by_our_clock(issued.expires)),
        })
    }
}

/// What to do about a documented code.
fn advice(code: &str) -> &'static str {
    match code.split('.').next().unwrap_or_default() {
        "EntityNotExist" => "check `role_arn`: there is no such role",
        "NoPermission" | "Forbidden" => {
            "allow the caller `sts:AssumeRole`, and name it in the trust policy of the role; check `external_id`"
        }
        "AuthenticationFail" => {
            "check `oidc_provider_arn`, the trust policy of the role, and the token's audience"
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidSecurityToken" => {
            "check the access key that assumes the role"
        }
        "InvalidTimeStamp" => "set this host's clock right (NTP)",
        "InvalidParameter" | "MissingRoleArn" => {
            "check `role_arn`, `role_session_name`, `duration` and `policy`"
        }
        _ => "look the code up in the documentation of the security token service",
    }
}
