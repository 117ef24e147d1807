//! Regions, ARNs and client IDs: what the configuration checks need to know about Alibaba Cloud.

use crate::config::VendorRules;

/// The rules of Alibaba Cloud for the checks of the configuration.
pub const RULES: VendorRules = VendorRules {
    regions: &KNOWN_REGIONS,
    is_region,
    is_ram_arn,
    client_id_irregularity,
};

/// The regions that offer the service (page "Endpoints"); more may be added.
const KNOWN_REGIONS: [&str; 24] = [
    "ap-northeast-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "cn-beijing",
    "cn-chengdu",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-hangzhou-finance",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-north-2-gov-1",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shanghai-finance-1",
    "cn-shenzhen",
    "cn-shenzhen-finance-1",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "eu-central-1",
    "mq-internet-access",
    "us-west-1",
];

/// Whether `text` has the form of a region. A region becomes part of a host name: with a `/` or a
/// `.` in it, signed requests would go to another server.
pub(super) fn is_region(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && !text.starts_with('-') && !text.ends_with('-') && text.bytes().all(allowed)
}

fn is_ram_arn(text: &str, kind: &str) -> bool {
    let parts = || {
        let (account, rest) = text.strip_prefix("acs:ram::")?.split_once(':')?;
        Some((account, rest.strip_prefix(kind)?.strip_prefix('/')?))
    };
    parts().is_some_and(|(account, name)| {
        let digits = account.bytes().all(|c| c.is_ascii_digit());
        digits && !account.is_empty() && !name.is_empty()
    })
}

/// How a client ID differs from the rules for new IDs (page "Limits"). Such an ID deserves a warning
/// but is never refused: Alibaba Cloud's own examples break the rules.
#[must_use]
pub fn client_id_irregularity(id: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if id.chars().count() > 64 {
        return Some("is longer than 64 characters");
    }
    let Some((group, device)) = id.split_once("@@@") else {
        return Some("has no `@@@` between group and device");
    };
    if !(group.starts_with("GID_") || group.starts_with("GID-")) {
        Some("has a group that does not begin with `GID_` or `GID-`")
    } else if !(7..=64).contains(&group.len()) {
        Some("has a group that is not 7 to 64 characters long")
    } else if device.is_empty() {
        Some("has an empty device part after `@@@`")
    } else if !(group.chars().all(allowed) && device.chars().all(allowed)) {
        Some("has characters other than letters, digits, `-` and `_`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn irregular_ids_are_described_and_regular_ids_are_not() {
        assert_eq!(client_id_irregularity("GID_test@@@pump-1"), None);
        assert_eq!(client_id_irregularity("GID-test@@@pump_1"), None);
        for id in [
            "GID_test@0001",
            "other@@@x",
            "GID_a@@@x",
            "GID_test@@@",
            "GID_test@@@pump 1",
        ] {
            assert!(client_id_irregularity(id).is_some(), "{id}");
        }
        let long = format!("GID_test@@@{}", "x".repeat(60));
        assert!(client_id_irregularity(&long).is_some());
    }
}
