//! The virtual clock keeps the contract of a clock.

use std::time::Duration;

use deploy_core::Clock;
use deploy_testkit::VirtualClock;

#[tokio::test]
async fn a_sleeper_wakes_when_the_clock_reaches_its_time_and_not_before() {
    let clock = VirtualClock::new();
    let at = clock.now().plus(Duration::from_secs(10));
    let sleeper = tokio::spawn(clock.sleep_until(at));
    assert_eq!(clock.sleeping().await, at);
    clock.advance(Duration::from_secs(9));
    assert_eq!(clock.next_wake(), Some(at));
    clock.advance(Duration::from_secs(1));
    sleeper.await.unwrap();
    assert_eq!(clock.next_wake(), None);
}

#[tokio::test]
async fn a_sleeper_wakes_when_the_clock_jumps_over_its_time() {
    let clock = VirtualClock::new();
    let sleeper = tokio::spawn(clock.sleep_until(clock.now().plus(Duration::from_secs(10))));
    clock.sleeping().await;
    clock.set(clock.now().plus(Duration::from_secs(1_000_000)));
    sleeper.await.unwrap();
}

#[tokio::test]
async fn a_time_that_has_come_is_not_waited_for() {
    let clock = VirtualClock::new();
    clock.sleep_until(clock.now()).await;
}

#[tokio::test]
async fn a_dropped_sleeper_is_not_waited_for() {
    let clock = VirtualClock::new();
    let mut sleep = clock.sleep_until(clock.now().plus(Duration::from_secs(10)));
    tokio::select! {
        biased;
        () = &mut sleep => unreachable!("the clock stands still"),
        _ = clock.sleeping() => {}
    }
    drop(sleep);
    assert_eq!(clock.next_wake(), None);
}
