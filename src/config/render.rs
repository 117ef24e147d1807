//! The configuration in effect, as YAML, with no secret in it.

use std::fmt::{self, Display, Formatter, Write as _};
use std::path::Path;

use reqwest::Url;

use super::duration::display;
use super::{
    Address, Authorization, Client, ClientUrl, Config, Credentials, Identity, Instance, Mode,
    Network, Provider, Query, SecretSource, Session, Signature, StaleAfter, UrlTls,
};
use crate::presence::LabelName;

/// Writes `config` with every default filled in; a secret reads `<secret>`. What is written is a
/// configuration again, unless a secret stood in the configuration itself.
#[must_use]
pub fn render(config: &Config) -> String {
    Rendered(config).to_string()
}

struct Rendered<'a>(&'a Config);

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_config(f, self.0)
    }
}

fn write_config(out: &mut Formatter<'_>, config: &Config) -> fmt::Result {
    let Config {
        collect,
        limits,
        exposition,
        api,
        max_clients,
        probe,
        instances,
    } = config;
    writeln!(out, "collect:")?;
    match collect.mode {
        Mode::Scrape => writeln!(out, "  mode: scrape")?,
        Mode::Poll => writeln!(
            out,
            "  mode: poll\n  interval: {}",
            display(collect.interval)
        )?,
    }
    let query = match collect.query {
        Query::Single => "single",
        Query::Batch => "batch",
    };
    writeln!(out, "  query: {query}")?;
    writeln!(out, "  max_age: {}", display(collect.max_age))?;
    match collect.stale_after {
        StaleAfter::Auto => writeln!(out, "  stale_after: auto")?,
        StaleAfter::Fixed(duration) => writeln!(out, "  stale_after: {}", display(duration))?,
    }
    writeln!(out, "  scrape_timeout: {}", display(collect.scrape_timeout))?;
    writeln!(out, "  concurrency: {}", collect.concurrency)?;
    writeln!(out, "  call_timeout: {}", display(collect.call_timeout))?;
    writeln!(out, "  retries: {}", collect.retries)?;
    writeln!(out, "limits:")?;
    writeln!(out, "  single_per_second: {}", limits.single_per_second)?;
    writeln!(out, "  batch_per_second: {}", limits.batch_per_second)?;
    writeln!(out, "  share: {}", limits.share)?;
    writeln!(out, "exposition:")?;
    writeln!(out, "  per_client: {}", exposition.per_client)?;
    writeln!(out, "api:")?;
    let signature = match api.signature {
        Signature::V3 => "v3",
        Signature::V2 => "v2",
    };
    let network = match api.network {
        Network::Public => "public",
        Network::Vpc => "vpc",
    };
    writeln!(out, "  signature: {signature}")?;
    writeln!(out, "  network: {network}")?;
    if let Some(file) = &api.ca_file {
        writeln!(out, "  ca_file: {}", Scalar(&file.to_string_lossy()))?;
    }
    writeln!(out, "max_clients: {max_clients}")?;
    writeln!(out, "probe:")?;
    writeln!(out, "  any_client: {}", probe.any_client)?;
    writeln!(out, "instances:")?;
    instances
        .iter()
        .try_for_each(|instance| write_instance(out, instance))
}

fn write_instance(out: &mut Formatter<'_>, instance: &Instance) -> fmt::Result {
    let Instance {
        id,
        address,
        credentials,
        calls_per_second,
        labels,
        clients,
        client_files,
        client_urls,
    } = instance;
    writeln!(out, "  - id: {}", Scalar(id.as_str()))?;
    let (region, endpoint) = match address {
        Address::Region(region) => (Some(region), None),
        Address::Endpoint { url, region } => (region.as_ref(), Some(url)),
    };
    if let Some(region) = region {
        writeln!(out, "    region: {}", Scalar(region))?;
    }
    if let Some(endpoint) = endpoint {
        writeln!(out, "    endpoint: {}", Scalar(endpoint.as_str()))?;
    }
    write_credentials(out, credentials)?;
    writeln!(out, "    calls_per_second: {calls_per_second}")?;
    if !labels.is_empty() {
        writeln!(out, "    labels: {}", label_map(labels))?;
    }
    if !clients.is_empty() {
        writeln!(out, "    clients:")?;
    }
    for Client { id, labels } in clients {
        let id = Scalar(id.as_str());
        if labels.is_empty() {
            writeln!(out, "      - {id}")?;
        } else {
            writeln!(out, "      - {{id: {id}, labels: {}}}", label_map(labels))?;
        }
    }
    if !client_files.is_empty() {
        writeln!(out, "    client_files:")?;
    }
    client_files
        .iter()
        .try_for_each(|glob| writeln!(out, "      - {}", Scalar(glob)))?;
    if !client_urls.is_empty() {
        writeln!(out, "    client_urls:")?;
    }
    client_urls
        .iter()
        .try_for_each(|url| write_client_url(out, url))
}

fn write_client_url(out: &mut Formatter<'_>, client_url: &ClientUrl) -> fmt::Result {
    let ClientUrl {
        url,
        refresh_interval,
        authorization,
        tls: UrlTls { ca_file, identity },
    } = client_url;
    writeln!(out, "      - url: {}", Scalar(&url.to_string()))?;
    writeln!(
        out,
        "        refresh_interval: {}",
        display(*refresh_interval)
    )?;
    match authorization {
        None => {}
        Some(Authorization::Basic {
            username,
            password_file,
        }) => {
            writeln!(out, "        basic_auth:")?;
            writeln!(out, "          username: {}", Scalar(username))?;
            writeln!(
                out,
                "          password_file: {}",
                Scalar(&password_file.to_string_lossy())
            )?;
        }
        Some(Authorization::Token {
            scheme,
            credentials_file,
        }) => {
            writeln!(out, "        authorization:")?;
            writeln!(out, "          type: {}", Scalar(scheme))?;
            writeln!(
                out,
                "          credentials_file: {}",
                Scalar(&credentials_file.to_string_lossy())
            )?;
        }
    }
    if client_url.tls != UrlTls::default() {
        writeln!(out, "        tls_config:")?;
    }
    if let Some(file) = ca_file {
        writeln!(
            out,
            "          ca_file: {}",
            Scalar(&file.to_string_lossy())
        )?;
    }
    if let Some(Identity {
        cert_file,
        key_file,
    }) = identity
    {
        writeln!(
            out,
            "          cert_file: {}",
            Scalar(&cert_file.to_string_lossy())
        )?;
        writeln!(
            out,
            "          key_file: {}",
            Scalar(&key_file.to_string_lossy())
        )?;
    }
    Ok(())
}

fn write_credentials(
    out: &mut Formatter<'_>,
    Credentials { provider, account }: &Credentials,
) -> fmt::Result {
    writeln!(out, "    credentials:")?;
    if let Some(account) = account {
        writeln!(out, "      account: {}", Scalar(account))?;
    }
    for line in provider_lines(provider) {
        writeln!(out, "      {line}")?;
    }
    Ok(())
}

fn provider_lines(provider: &Provider) -> Vec<String> {
    match provider {
        Provider::AccessKey { id, secret } => {
            let secret = match secret {
                SecretSource::Inline(secret) => format!("access_key_secret: {secret}"),
                SecretSource::File(file) => format!(
                    "access_key_secret_file: {}",
                    Scalar(&file.to_string_lossy())
                ),
            };
            vec![
                "type: access_key".into(),
                format!("access_key_id: {}", Scalar(id)),
                secret,
            ]
        }
        Provider::Env => vec!["type: env".into()],
        Provider::Profile {
            name,
            file,
            endpoints,
        } => given(
            "profile",
            [
                ("profile", name.clone()),
                ("file", file.as_deref().map(path)),
                ("sts_endpoint", endpoints.sts.as_ref().map(Url::to_string)),
                (
                    "metadata_endpoint",
                    endpoints.metadata.as_ref().map(Url::to_string),
                ),
            ],
        ),
        Provider::EcsRamRole { role, endpoint } => given(
            "ecs_ram_role",
            [
                ("role", role.clone()),
                ("metadata_endpoint", endpoint.as_ref().map(Url::to_string)),
            ],
        ),
        Provider::Oidc {
            role_arn,
            provider_arn,
            token_file,
            session,
            sts_endpoint,
        } => {
            let keys = [
                ("role_arn", role_arn.clone()),
                ("oidc_provider_arn", provider_arn.clone()),
                ("oidc_token_file", token_file.as_deref().map(path)),
                ("sts_endpoint", sts_endpoint.as_ref().map(Url::to_string)),
            ];
            given("oidc", keys.into_iter().chain(session_keys(session)))
        }
        Provider::AssumeRole {
            source,
            role_arn,
            external_id,
            session,
            sts_endpoint,
        } => {
            let keys = [
                ("role_arn", Some(role_arn.clone())),
                ("external_id", external_id.clone()),
                ("sts_endpoint", sts_endpoint.as_ref().map(Url::to_string)),
            ];
            let mut lines = given("assume_role", keys.into_iter().chain(session_keys(session)));
            lines.push("source:".into());
            lines.extend(
                provider_lines(source)
                    .into_iter()
                    .map(|line| format!("  {line}")),
            );
            lines
        }
        Provider::Uri(uri) => given("uri", [("uri", uri.as_ref().map(ToString::to_string))]),
        Provider::Chain(providers) => {
            let mut lines = vec!["type: chain".into(), "providers:".into()];
            for provider in providers {
                let inner = provider_lines(provider).into_iter().enumerate();
                lines.extend(
                    inner.map(|(n, line)| format!("  {} {line}", if n == 0 { '-' } else { ' ' })),
                );
            }
            lines
        }
    }
}

/// The type, and the keys that have a value.
fn given(
    kind: &str,
    keys: impl IntoIterator<Item = (&'static str, Option<String>)>,
) -> Vec<String> {
    let lines = keys
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}: {}", Scalar(&value?))));
    std::iter::once(format!("type: {kind}"))
        .chain(lines)
        .collect()
}

fn session_keys(
    Session {
        name,
        duration,
        policy,
    }: &Session,
) -> [(&'static str, Option<String>); 3] {
    [
        ("role_session_name", name.clone()),
        ("duration", Some(display(*duration).to_string())),
        ("policy", policy.clone()),
    ]
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn label_map(labels: &[(LabelName, String)]) -> String {
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}: {}", Scalar(value)))
        .collect();
    format!("{{{}}}", labels.join(", "))
}

/// `text` as a YAML scalar that reads as just this text: plain where that is safe, otherwise in
/// double quotes.
struct Scalar<'a>(&'a str);

impl Display for Scalar<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = self.0;
        let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-./@".contains(c))
            && !["null", "true", "false"]
                .iter()
                .any(|other| text.eq_ignore_ascii_case(other));
        if word {
            return f.write_str(text);
        }
        f.write_char('"')?;
        for c in text.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                // What YAML does not take for printable, or takes for a line break.
                '\0'..='\x1F'
                | '\x7F'..='\u{A0}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{FEFF}'
                | '\u{FFFE}'
                | '\u{FFFF}' => {
                    write!(f, "\\u{:04X}", u32::from(c))?;
                }
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::file::Document;
    use super::super::tree::{ScalarKind, Value};
    use super::*;

    proptest! {
        #[test]
        fn every_text_reads_the_same_as_it_was_written(text in any::<String>()) {
            let yaml = format!("[{}]", Scalar(&text));
            let document = Document::read(&yaml).expect("valid YAML");
            let Value::List(list) = &document.root.value else { panic!("a list") };
            let Value::Scalar(ScalarKind::Text, read) = &list[0].value else { panic!("a text") };
            prop_assert_eq!(&**read, &text);
        }
    }
}
