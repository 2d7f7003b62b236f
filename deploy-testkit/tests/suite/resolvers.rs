//! The conformance kit for resolvers: against those that are here, and such that each break one clause.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deploy_core::model::{BusinessName, ProjectName, Target};
use deploy_core::{
    AgentResolver, CachedResolver, ChainResolver, Context, FnResolver, Format, Inventory,
    ResolveError,
};
use deploy_testkit::conformance::{ResolverBench, resolving, run};
use deploy_testkit::{StaticResolver, VirtualClock, samples};

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

deploy_testkit::resolver_conformance!(chained, async |_clock| {
    let nobody = FnResolver::new(|_cx, business, project| async move {
        Err(ResolveError::Unknown { business, project })
    });
    let bench = bench(Fault::None);
    let chain = ChainResolver::new().with(nobody).with(bench.resolver);
    (ResolverBench::new(chain, bench.business, bench.project, bench.hosts), ())
});

deploy_testkit::resolver_conformance!(cached, async |clock| {
    let bench = bench(Fault::None);
    let cached = CachedResolver::new(bench.resolver, Duration::from_secs(60)).with_clock(clock);
    (ResolverBench::new(cached, bench.business, bench.project, bench.hosts), ())
});

/// A resolver whose answers are scripted by their number.
fn scripted(
    answer: impl Fn(usize) -> Result<Vec<Target>, ResolveError> + Send + Sync + 'static,
) -> (FnResolver, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let resolver = FnResolver::new(move |_cx, _business, _project| {
        let answer = answer(count.fetch_add(1, Ordering::Relaxed));
        async move { answer }
    });
    (resolver, asked)
}

fn unavailable() -> ResolveError {
    ResolveError::Unavailable { source: "no route".into() }
}

async fn ask(resolver: &dyn AgentResolver) -> Result<usize, ResolveError> {
    let cx = Context::new(samples::task_id("t"));
    let (business, project) = (samples::business(), samples::project("checkout"));
    Ok(resolver.resolve(cx, business, project).await?.len())
}

#[tokio::test]
async fn a_chain_goes_on_only_where_a_project_is_unknown() {
    let (down, _) = scripted(|_| Err(unavailable()));
    let (last, asked) = scripted(|_| Ok(samples::fleet(1)));
    let chain = ChainResolver::new().with(down).with(last);
    assert!(matches!(ask(&chain).await, Err(ResolveError::Unavailable { .. })));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert!(matches!(ask(&ChainResolver::new()).await, Err(ResolveError::Unknown { .. })));
}

#[tokio::test]
async fn what_is_remembered_is_asked_for_again_when_it_is_old_and_serves_while_nobody_answers() {
    let clock = VirtualClock::new();
    // Two hosts, then three, then nobody answers, then four.
    let (resolver, asked) = scripted(|number| match number {
        0 => Ok(samples::fleet(2)),
        1 => Ok(samples::fleet(3)),
        2..6 => Err(unavailable()),
        _ => Ok(samples::fleet(4)),
    });
    let cached = CachedResolver::new(resolver, Duration::from_secs(60))
        .stale_for(Duration::from_secs(600))
        .with_clock(clock.clone());
    let times = || asked.load(Ordering::Relaxed);
    assert_eq!((ask(&cached).await.unwrap(), times()), (2, 1));
    clock.advance(Duration::from_secs(59));
    assert_eq!((ask(&cached).await.unwrap(), times()), (2, 1));
    clock.advance(Duration::from_secs(1));
    assert_eq!((ask(&cached).await.unwrap(), times()), (3, 2));
    clock.advance(Duration::from_secs(599));
    assert_eq!((ask(&cached).await.unwrap(), times()), (3, 3));
    clock.advance(Duration::from_secs(1));
    for asked in 4..=6 {
        assert!(ask(&cached).await.is_err());
        assert_eq!(times(), asked);
    }
    assert_eq!(ask(&cached).await.unwrap(), 4);
}

#[tokio::test]
async fn errors_are_not_remembered_and_who_asks_at_once_asks_once() {
    let (resolver, asked) = scripted(|number| match number {
        0 => Err(unavailable()),
        _ => Ok(samples::fleet(2)),
    });
    let cached = CachedResolver::new(resolver, Duration::from_secs(60));
    assert!(ask(&cached).await.is_err());
    let (a, b, c) = tokio::join!(ask(&cached), ask(&cached), ask(&cached));
    assert_eq!([a, b, c].map(Result::unwrap), [2, 2, 2]);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

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
