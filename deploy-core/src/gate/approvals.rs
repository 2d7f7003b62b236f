//! Approvals that a deployment needs before it starts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::scope::Scope;
use super::{Approval, ApprovalStore, ApprovalSubject, Gate, GateDecision, GateError, Verdict};
use crate::clock::{Clock, SystemClock};
use crate::context::Context;
use crate::document::{Decode, Fault, Faults, Node, deserialize_by_decode};
use crate::model::{DeploymentId, DeploymentRequest, Person};

/// How many people of a set have to approve.
///
/// ```toml
/// need = 2
/// of = ["alice", "bob", "carol"]
/// not_requester = true                    # whoever asks for it does not count
/// businesses = ["payments"]               # without these two keys: every deployment
/// projects = ["shop/checkout-api"]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRule {
    need: u32,
    of: Vec<Person>,
    not_requester: bool,
    scope: Scope,
}

impl ApprovalRule {
    /// Needs the approval of so many of some people, for every deployment.
    ///
    /// # Errors
    ///
    /// All faults at once: nobody named, somebody named twice, none or more needed than are named.
    pub fn new(need: u32, of: Vec<Person>) -> Result<Self, Faults> {
        let rule = Self { need, of, not_requester: false, scope: Scope::default() };
        let mut faults = Faults::default();
        rule.check(|key, found, allowed| faults.push(Fault::new(key, found, allowed)));
        if faults.is_empty() { Ok(rule) } else { Err(faults) }
    }

    /// Does not count whoever asks for the deployment. A request that does not say who asks is
    /// refused then.
    #[must_use]
    pub fn not_requester(mut self) -> Self {
        self.not_requester = true;
        self
    }

    fn check(&self, mut fault: impl FnMut(&str, String, String)) {
        let people: BTreeSet<_> = self.of.iter().collect();
        if people.is_empty() {
            fault("of", "nobody".to_owned(), "at least one person".to_owned());
        }
        for (index, person) in self.of.iter().enumerate() {
            if self.of[..index].contains(person) {
                fault(&format!("of[{index}]"), format!("{person} again"), "each once".to_owned());
            }
        }
        if self.need == 0 || (self.need as usize > people.len() && !people.is_empty()) {
            let allowed = format!("1 to {}, as many as are named", people.len().max(1));
            fault("need", format!("the number {}", self.need), allowed);
        }
    }

    /// What the rule says, of the approvals in their order.
    fn decide(
        &self,
        subject: &ApprovalSubject,
        request: &DeploymentRequest,
        approvals: &[Approval],
    ) -> Standing {
        let requester = request.requested_by.as_ref().filter(|_| self.not_requester);
        if self.not_requester && requester.is_none() {
            let reason = "the request does not say who asks, who must not approve of it";
            return Standing::Never(reason.to_owned());
        }
        let (mut given, mut missing) = (Vec::new(), Vec::new());
        for person in self.of.iter().filter(|person| Some(*person) != requester) {
            // Somebody's last word counts.
            let last = approvals.iter().rev().find(|approval| approval.by == *person);
            match last.map(|approval| approval.verdict) {
                Some(Verdict::Approved) => given.push(person.as_str()),
                Some(Verdict::Revoked) | None => missing.push(person.as_str()),
            }
        }
        let need = self.need as usize;
        if given.len() >= need {
            return Standing::Met;
        }
        let of = missing.join(", ");
        if given.len() + missing.len() < need {
            let reason = format!(
                "{subject} needs {need} approvals, and beside its requester only {of} may give one"
            );
            return Standing::Never(reason);
        }
        let so_far = if given.is_empty() { "nobody".to_owned() } else { given.join(", ") };
        let lack = need - given.len();
        Standing::Lacking(format!(
            "{subject} lacks {lack} of {need} approvals: {so_far} approved, missing is {lack} of {of}"
        ))
    }
}

enum Standing {
    Met,
    Lacking(String),
    Never(String),
}

impl Decode for ApprovalRule {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let (need, of) = (table.required("need"), table.required("of"));
        let not_requester = table.or("not_requester", false);
        let scope = Scope::decode(&mut table);
        let rule = match (need, of, not_requester, scope) {
            (Some(need), Some(of), Some(not_requester), Some(scope)) => {
                let rule = Self { need, of, not_requester, scope };
                rule.check(|key, found, allowed| table.fault(key, found, allowed));
                Some(rule)
            }
            _ => None,
        };
        table.finish();
        rule
    }
}

deserialize_by_decode!(ApprovalRule);

/// A [`Gate`] that holds a deployment until it has the approvals that its rules need: those of its
/// work order, and those of the deployment itself.
///
/// Every rule that is for the deployment has to be met. Approvals that are recorded elsewhere are
/// noticed within a minute; call [`Deployment::recheck`](crate::Deployment::recheck) to have them
/// noticed at once.
#[derive(Debug)]
pub struct Approvals {
    rules: Vec<ApprovalRule>,
    store: Arc<dyn ApprovalStore>,
    clock: Arc<dyn Clock>,
    ask_again: Duration,
}

impl Approvals {
    /// Holds deployments by these rules.
    #[must_use]
    pub fn new(rules: Vec<ApprovalRule>, store: impl ApprovalStore) -> Self {
        let clock = Arc::new(SystemClock::new());
        Self { rules, store: Arc::new(store), clock, ask_again: Duration::from_secs(60) }
    }

    /// Tells the time by another clock than this machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets after what time the store is asked again: a minute by default, which nobody who approves
    /// minds, and which reads a file seldom.
    #[must_use]
    pub fn with_ask_again(mut self, ask_again: Duration) -> Self {
        self.ask_again = ask_again;
        self
    }
}

#[async_trait]
impl Gate for Approvals {
    async fn check(
        &self,
        _cx: Context,
        deployment: DeploymentId,
        request: DeploymentRequest,
    ) -> Result<GateDecision, GateError> {
        let rules: Vec<_> = self.rules.iter().filter(|rule| rule.scope.covers(&request)).collect();
        if rules.is_empty() {
            return Ok(GateDecision::Open);
        }
        let mut subjects = vec![ApprovalSubject::Deployment(deployment)];
        subjects.extend(request.work_order.clone().map(ApprovalSubject::WorkOrder));
        let approvals = self.store.about(subjects.clone()).await.map_err(GateError::new)?;
        let Some(shown) = subjects.last() else { return Ok(GateDecision::Open) };
        let (mut lacking, mut never) = (Vec::new(), Vec::new());
        for rule in rules {
            match rule.decide(shown, &request, &approvals) {
                Standing::Met => {}
                Standing::Lacking(reason) => lacking.push(reason),
                Standing::Never(reason) => never.push(reason),
            }
        }
        if !never.is_empty() {
            return Ok(GateDecision::Refused { reason: never.join("; ") });
        }
        if lacking.is_empty() {
            return Ok(GateDecision::Open);
        }
        let until = self.clock.now().plus(self.ask_again);
        Ok(GateDecision::Held { reason: lacking.join("; "), until })
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryApprovals;
    use super::*;
    use crate::model::{
        BusinessName, Md5Digest, PackageSource, PackageUrl, ProjectName, TaskId, Timestamp,
    };

    fn request() -> DeploymentRequest {
        let url = PackageUrl::new("http://192.0.2.1/a.tar.gz").unwrap();
        let package = PackageSource::new(url, Md5Digest::of(b"package"));
        let (business, project) = (BusinessName::new("b").unwrap(), ProjectName::new("p").unwrap());
        DeploymentRequest::new(business, project, package)
            .with_work_order("WO-7".parse().unwrap())
            .with_requested_by("alice".parse().unwrap())
    }

    fn people(names: &[&str]) -> Vec<Person> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn approval(by: &str) -> Approval {
        let subject = ApprovalSubject::WorkOrder("WO-7".parse().unwrap());
        Approval::new(subject, by.parse().unwrap(), Timestamp::now())
    }

    async fn ask(rule: ApprovalRule, approvals: Vec<Approval>) -> GateDecision {
        let store = MemoryApprovals::new();
        for approval in approvals {
            store.record(approval).await.unwrap();
        }
        let cx = Context::new(TaskId::new("d").unwrap());
        let id = DeploymentId::new("d").unwrap();
        Approvals::new(vec![rule], store).check(cx, id, request()).await.unwrap()
    }

    fn reason(decision: GateDecision) -> String {
        match decision {
            GateDecision::Held { reason, .. } | GateDecision::Refused { reason } => reason,
            GateDecision::Open => panic!("it is open"),
        }
    }

    #[tokio::test]
    async fn it_is_held_until_enough_of_the_set_approved_and_says_who_is_missing() {
        let rule = || ApprovalRule::new(2, people(&["alice", "bob", "carol"])).unwrap();
        let held = reason(ask(rule(), vec![approval("bob"), approval("mallory")]).await);
        let expected =
            "work order WO-7 lacks 1 of 2 approvals: bob approved, missing is 1 of alice, carol";
        assert_eq!(held, expected);
        assert_eq!(ask(rule(), vec![approval("bob"), approval("carol")]).await, GateDecision::Open);
    }

    #[tokio::test]
    async fn one_person_approves_once_and_may_take_it_back() {
        let rule = || ApprovalRule::new(2, people(&["alice", "bob"])).unwrap();
        reason(ask(rule(), vec![approval("bob"), approval("bob")]).await);
        let back = vec![approval("bob"), approval("alice"), approval("bob").revoked()];
        reason(ask(rule(), back.clone()).await);
        let again = [back, vec![approval("bob")]].concat();
        assert_eq!(ask(rule(), again).await, GateDecision::Open);
    }

    #[tokio::test]
    async fn whoever_asks_does_not_count_where_told_so() {
        let rule =
            |need| ApprovalRule::new(need, people(&["alice", "bob"])).unwrap().not_requester();
        assert!(matches!(ask(rule(1), vec![approval("alice")]).await, GateDecision::Held { .. }));
        assert_eq!(ask(rule(1), vec![approval("bob")]).await, GateDecision::Open);
        // Two eyes are not four: it can never be met.
        assert!(matches!(ask(rule(2), vec![]).await, GateDecision::Refused { .. }));
    }

    #[test]
    fn a_rule_that_cannot_be_met_is_refused() {
        let faults = |need, names: &[&str]| {
            let faults = ApprovalRule::new(need, people(names)).unwrap_err();
            faults.as_slice().iter().map(|f| f.path.clone()).collect::<Vec<_>>()
        };
        assert_eq!(faults(3, &["alice", "bob"]), ["need"]);
        assert_eq!(faults(0, &[]), ["of", "need"]);
        assert_eq!(faults(2, &["alice", "alice"]), ["of[1]", "need"]);
        assert!(Person::new("Alice").is_err());
    }
}
