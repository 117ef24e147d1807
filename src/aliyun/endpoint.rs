//! The endpoints of Alibaba Cloud.

use reqwest::Url;

use super::rules::is_region;
use crate::config::Network;

/// The text is not a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a region is lower-case letters, digits and `-`")]
pub struct BadRegion;

/// The endpoint of the API in `region`.
///
/// A region becomes part of a host name, so other characters are rejected: a `/` or `.` would send
/// signed requests to another host.
pub fn endpoint(region: &str, network: Network) -> Result<Url, BadRegion> {
    let service = match network {
        Network::Public => "onsmqtt",
        Network::Vpc => "onsmqtt-vpc",
    };
    endpoint_of(service, region)
}

/// The endpoint of a service of Alibaba Cloud in `region`.
pub(super) fn endpoint_of(service: &str, region: &str) -> Result<Url, BadRegion> {
    if !is_region(region) {
        return Err(BadRegion);
    }
    Url::parse(&format!("https://{service}.{region}.aliyuncs.com/")).map_err(|_| BadRegion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_depends_on_region_and_network() {
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
    fn a_region_cannot_change_the_host() {
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
