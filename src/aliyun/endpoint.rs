//! Where the API is.

use reqwest::Url;

use crate::config::Network;

/// A text that cannot be a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a region is lower-case letters, digits and `-`")]
pub struct BadRegion;

/// The endpoint of `region`.
///
/// A region becomes a part of a host's name, so that only what may stand in one is taken: a text
/// with a `/` or a `.` in it would lead signed requests to somebody else.
pub fn endpoint(region: &str, network: Network) -> Result<Url, BadRegion> {
    let service = match network {
        Network::Public => "onsmqtt",
        Network::Vpc => "onsmqtt-vpc",
    };
    endpoint_of(service, region)
}

/// The endpoint of any service of the vendor's in `region`.
pub(super) fn endpoint_of(service: &str, region: &str) -> Result<Url, BadRegion> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty()
        || region.starts_with('-')
        || region.ends_with('-')
        || !region.bytes().all(allowed)
    {
        return Err(BadRegion);
    }
    Url::parse(&format!("https://{service}.{region}.aliyuncs.com/")).map_err(|_| BadRegion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_follows_from_region_and_network() {
        let host = |network| endpoint("cn-hangzhou", network).map(|url| url.to_string());
        assert_eq!(
            host(Network::Public).unwrap(),
            "https://onsmqtt.cn-hangzhou.aliyuncs.com/"
        );
        assert_eq!(
            host(Network::Vpc).unwrap(),
            "https://onsmqtt-vpc.cn-hangzhou.aliyuncs.com/"
        );
        assert!(endpoint("cn-north-2-gov-1", Network::Public).is_ok());
    }

    #[test]
    fn a_region_cannot_lead_elsewhere() {
        for region in [
            "",
            "-",
            "CN-hangzhou",
            "evil.example/",
            "a.b",
            "x@y",
            "cn hangzhou",
            "größe",
            "a:1",
        ] {
            assert_eq!(
                endpoint(region, Network::Public),
                Err(BadRegion),
                "{region}"
            );
        }
    }
}
