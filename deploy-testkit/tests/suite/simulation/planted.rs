//! A planted bug of each kind is caught, and by the checker that is for it.

use deploy_testkit::{HostFlaw, LinkFlaw};

use super::flaw::Flaw;
use super::run::simulate;

/// A flaw is caught by a checker, whose name begins so, within so many seeds.
fn caught(flaw: Flaw, by: &str, within: u64) {
    for seed in 0..within {
        let wrong = simulate(seed, Some(flaw)).violations();
        if let Some((name, what)) = wrong.iter().find(|(name, _)| name.starts_with(by)) {
            println!("{flaw:?} is caught with the seed {seed}: {name}: {what}");
            return;
        }
    }
    panic!("{flaw:?} is not caught by \"{by}\" within {within} seeds");
}

macro_rules! planted {
    ($($name:ident: $flaw:expr, $by:literal, $within:literal;)*) => {
        $(
            #[test]
            fn $name() {
                caught($flaw, $by, $within);
            }
        )*
    };
}

planted! {
    a_store_that_forgets_what_it_acknowledged_is_caught:
        Flaw::ForgetsAppend, "what was recorded stays", 100;
    a_queue_that_gives_a_task_to_two_workers_is_caught:
        Flaw::GivesTwice, "", 300;
    a_node_that_ignores_the_failure_budget_is_caught:
        Flaw::IgnoresBudget, "past the budget", 100;
    a_node_that_ignores_the_scheduled_time_is_caught:
        Flaw::IgnoresSchedule, "no rollout begins at a forbidden time", 100;
    a_node_that_passes_a_shut_gate_is_caught:
        Flaw::IgnoresGates, "no rollout begins at a forbidden time", 100;
    a_node_that_acts_before_it_records_is_caught:
        Flaw::ActsEarly, "nothing is done unrecorded", 100;
    an_executor_that_runs_a_known_task_again_is_caught:
        Flaw::RunsAgain, "finished hosts are not done again", 100;
    a_rollback_that_goes_forth_and_back_is_caught:
        Flaw::GoesBackAgain, "a host that went back stays back", 300;
    a_rollback_that_is_called_a_success_is_caught:
        Flaw::CallsBackSuccess, "what is said of a host is true", 100;
    a_host_that_ignores_fencing_numbers_is_caught:
        Flaw::Hosts(HostFlaw::IgnoresFences), "", 300;
    a_host_that_serves_half_a_release_is_caught:
        Flaw::Hosts(HostFlaw::SwitchesEarly), "current is whole", 100;
    a_host_that_only_says_that_it_went_back_is_caught:
        Flaw::Hosts(HostFlaw::PretendsToGoBack), "what is said of a host is true", 100;
    a_link_that_takes_lost_for_done_is_caught:
        Flaw::Link(LinkFlaw::TakesLostForDone), "what is said of a host is true", 300;
}
