//! Which certificates clients have to show.

use super::material::Material;
use crate::config::{NodeCursor, Report};
use crate::net::{ClientAuth, Trust};

#[derive(Clone, Copy)]
enum Policy {
    /// None is asked for.
    Nothing,
    Ask {
        required: bool,
        verified: bool,
    },
}

/// The words of Go's `crypto/tls`, and one that the toolkit had before them.
const POLICIES: [(&str, Policy); 6] = [
    ("NoClientCert", Policy::Nothing),
    (
        "RequestClientCert",
        Policy::Ask {
            required: false,
            verified: false,
        },
    ),
    (
        "RequireAnyClientCert",
        Policy::Ask {
            required: true,
            verified: false,
        },
    ),
    (
        "RequireClientCert",
        Policy::Ask {
            required: true,
            verified: false,
        },
    ),
    (
        "VerifyClientCertIfGiven",
        Policy::Ask {
            required: false,
            verified: true,
        },
    ),
    (
        "RequireAndVerifyClientCert",
        Policy::Ask {
            required: true,
            verified: true,
        },
    ),
];

/// `None`: no certificate is asked for, or something was reported.
pub(super) fn client_auth(
    policy_at: Option<NodeCursor<'_>>,
    ca: Option<&Material<'_>>,
    names_at: Option<NodeCursor<'_>>,
    report: &mut Report,
) -> Option<ClientAuth> {
    let policy = match &policy_at {
        Some(at) => at.choice(report, &POLICIES)?,
        None => Policy::Nothing,
    };
    let trusted = ca.map(|ca| ca.certificates(report));
    let allowed_names = names_at.as_ref().map(|at| {
        let names = at.items(report).collect::<Vec<_>>();
        names
            .iter()
            .filter_map(|at| at.scalar(report).map(str::to_owned))
            .collect()
    });
    if let Some(at) = names_at
        && !matches!(policy, Policy::Ask { required: true, .. })
    {
        at.problem(
            report,
            "needs `client_auth_type: RequireAndVerifyClientCert` (or `RequireAnyClientCert`): a client without a certificate has no name",
        );
    }
    let Policy::Ask { required, verified } = policy else {
        if let Some(ca) = ca {
            ca.at.problem(
                report,
                "needs `client_auth_type`; write `RequireAndVerifyClientCert`",
            );
        }
        return None;
    };
    if let Some(at) = policy_at
        && !(required && verified)
    {
        at.warning(
            report,
            "lets in clients that prove nothing; `RequireAndVerifyClientCert` does not",
        );
    }
    let issued_by = match trusted {
        _ if !verified => None,
        None => Some(Trust::System),
        Some(trusted) => Some(Trust::These(trusted?)),
    };
    Some(ClientAuth {
        required,
        issued_by,
        allowed_names,
    })
}
