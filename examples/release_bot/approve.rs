//! `approve`: writes down that somebody approves of a work order, or does no longer.

use std::process::ExitCode;

use deploy_core::gate::{Approval, ApprovalStore, ApprovalSubject, FileApprovals};
use deploy_core::model::Timestamp;

use crate::args::ApproveArgs;
use crate::input::{AnyError, BadInput};

pub(crate) async fn run(args: ApproveArgs) -> Result<ExitCode, AnyError> {
    let bad = |what: &str, error: deploy_core::Invalid| BadInput::new(format!("{what}: {error}"));
    let by = args.by.parse().map_err(|error| bad("--by", error))?;
    let number = args.work_order.parse().map_err(|error| bad("--work-order", error))?;
    let approval = Approval::new(ApprovalSubject::WorkOrder(number), by, Timestamp::now());
    let approval = if args.revoke { approval.revoked() } else { approval };
    let (by, at) = (approval.by.clone(), approval.at);
    FileApprovals::new(args.approvals).record(approval).await?;
    let (order, verb) = (args.work_order, if args.revoke { "revoked" } else { "approved" });
    if args.json {
        println!("{}", serde_json::json!({"work_order": order, "by": by, "at": at, "is": verb}));
    } else {
        println!("{order} {verb} by {by}");
    }
    Ok(ExitCode::SUCCESS)
}
