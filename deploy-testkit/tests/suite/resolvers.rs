//! The conformance kit for resolvers: against those that are here, and such that each break one clause.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deploy_core::model::{BusinessName, ProjectName, Target};
use deploy_core::{FnResolver, Format, Inventory, ResolveError};
use deploy_testkit::conformance::{ResolverBench, resolving, run};
use deploy_testkit::{StaticResolver, samples};

deploy_testkit::resolver_conformance!(statically, async |_clock| {
    let project = samples::project("checkout");
    let resolver = StaticResolver::empty().with_project(
        samples::business(),
        project.clone(),
        samples::fleet(3),
    );
    (ResolverBench::new(resolver, samples::business(), project, hosts()), ())
});

deploy_testkit::resolver_conformance!(inventory, async |_clock| {
    let inventory = Inventory::parse(
        Format::Json,
        br#"{
            "host": [
                {"name": "host-3", "address": "10.0.0.3", "endpoint": "local:/h3", "tags": ["last"]},
                {"name": "host-1", "address": "10.0.0.1", "endpoint": "local:/h1"},
                {"name": "host-2", "address": "10.0.0.2", "endpoint": "local:/h2"}
            ],
            "project": [{"business": "shop", "name": "checkout", "root": "/srv/checkout",
                "hosts": ["host-1", "host-2", "tag:last", "host-*"]}]
        }"#,
    );
    let project = samples::project("checkout");
    (ResolverBench::new(inventory.unwrap(), samples::business(), project, hosts()), ())
});

deploy_testkit::resolver_conformance!(behind_an_arc, async |_clock| {
    let bench = bench(Fault::None);
    (ResolverBench::new(bench.resolver, bench.business, bench.project, bench.hosts), ())
});

fn hosts() -> Vec<deploy_core::model::HostName> {
    (1..=3).map(samples::host).collect()
}

/// How a resolver is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    GivesAHostTwice,
    GivesEveryProjectHosts,
    LooksAtTheProjectAlone,
    ForgetsAHostEachTime,
}

fn answer(
    fault: Fault,
    asked: usize,
    business: BusinessName,
    project: ProjectName,
) -> Result<Vec<Target>, ResolveError> {
    let its_business = business == samples::business() || fault == Fault::LooksAtTheProjectAlone;
    let its_own = its_business && project == samples::project("checkout");
    if !its_own && fault != Fault::GivesEveryProjectHosts {
        return Err(ResolveError::Unknown { business, project });
    }
    let mut fleet = samples::fleet(3);
    match fault {
        Fault::GivesAHostTwice => fleet.push(samples::target(1)),
        Fault::ForgetsAHostEachTime => fleet.truncate(3_usize.saturating_sub(asked)),
        _ => {}
    }
    Ok(fleet)
}

fn bench(fault: Fault) -> ResolverBench {
    let asked = Arc::new(AtomicUsize::new(0));
    let resolver = FnResolver::new(move |_cx, business, project| {
        let asked = asked.fetch_add(1, Ordering::Relaxed);
        async move { answer(fault, asked, business, project) }
    });
    ResolverBench::new(resolver, samples::business(), samples::project("checkout"), hosts())
}

fn fails(case: impl Future<Output = ()>) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(case))).is_err()
}

macro_rules! catches {
    ($($case:ident <- $fault:ident,)*) => {
        $(
            #[test]
            fn $case() {
                assert!(!fails(resolving::$case(bench(Fault::None))), "fails without a fault");
                let caught = fails(resolving::$case(bench(Fault::$fault)));
                assert!(caught, "does not notice {:?}", Fault::$fault);
            }
        )*
    };
}

catches! {
    every_host_of_a_project_is_there_once_in_its_order <- GivesAHostTwice,
    a_project_that_is_not_known_is_unknown <- GivesEveryProjectHosts,
    a_project_of_another_business_is_unknown <- LooksAtTheProjectAlone,
    asking_changes_nothing <- ForgetsAHostEachTime,
}
