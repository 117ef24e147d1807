//! Which certificates clients have to show.

use super::material::Material;
use crate::config::{At, Report};
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
    ("RequestClientCert", Policy::Ask { required: false, verified: false }),
    ("RequireAnyClientCert", Policy::Ask { required: true, verified: false }),
    ("RequireClientCert", Policy::Ask { required: true, verified: false }),
    ("VerifyClientCertIfGiven", Policy::Ask { required: false, verified: true }),
    ("RequireAndVerifyClientCert", Policy::Ask { required: true, verified: true }),
];

/// `None`: something was reported. `Some(None)`: no certificate is asked for.
#[expect(clippy::option_option, reason = "what is wrong and what is not wanted are not the same")]
pub(super) fn client_auth(
    policy_at: Option<At<'_>>,
    ca: Option<&Material<'_>>,
    names_at: Option<At<'_>>,
    report: &mut Report,
) -> Option<Option<ClientAuth>> {
    let policy = match &policy_at {
        Some(at) => at.choice(report, &POLICIES)?,
        None => Policy::Nothing,
    };
    let trusted = match ca {
        Some(ca) => Some(ca.certificates(report)?),
        None => None,
    };
    let allowed_names = names_at.as_ref().map(|at| {
        let names = at.items(report).collect::<Vec<_>>();
        names.iter().filter_map(|at| at.scalar(report).map(str::to_owned)).collect()
    });
    if let Some(at) = names_at
        && !matches!(policy, Policy::Ask { required: true, .. })
    {
        at.problem(
            report,
            "needs `client_auth_type: RequireAndVerifyClientCert` (or `RequireAnyClientCert`): a client without a certificate has no name",
        );
        return None;
    }
    match (policy, ca) {
        (Policy::Nothing, Some(ca)) => {
            ca.at.problem(report, "needs `client_auth_type`; write `RequireAndVerifyClientCert`");
            None
        }
        (Policy::Nothing, None) => Some(None),
        (Policy::Ask { required, verified }, _) => {
            if let Some(at) = policy_at
                && !(required && verified)
            {
                at.warning(report, "lets in clients that prove nothing; `RequireAndVerifyClientCert` does not");
            }
            let issued_by = verified.then(|| trusted.map_or(Trust::System, Trust::These));
            Some(Some(ClientAuth { required, issued_by, allowed_names }))
        }
    }
}
