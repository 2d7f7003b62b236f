//! How much of a command's input may be on its way at once.
//!
//! A server opens a window of 2 MiB, and a host that is near takes in less than comes. What is left over
//! waits in the server, which then moves it about in memory again and again: of 20 MiB sent as fast as the
//! window lets them that is three quarters of the processor time of OpenSSH's server (`ssh_fleet` in
//! benches/RESULTS.md). So no more is on its way than what keeps the host busy until news of it is here.
//!
//! The time that a whole limit's worth takes to be taken in is compared with the time that news takes
//! alone. When both are the same the way is what limits, and the limit doubles, up to the window; when
//! most of it waited at the host, it falls.

use std::time::{Duration, Instant};

/// What may be on its way at least, in bytes, to a host that is near.
const LEAST: u32 = 128 * 1024;

/// The same for each millisecond that news takes, up to [`LEAST_FAR`]: what comes from far away may be slow
/// now and then for reasons that are not the host's.
const LEAST_BY_MILLI: u64 = 100 * 1024;

/// What may be on its way at least to a host that is far away, in bytes.
const LEAST_FAR: u32 = 1024 * 1024;

/// OpenSSH's server tells what its host took in when that is more than these bytes.
const UNTOLD: u128 = 96 * 1024;

/// After this time without news the limit goes. It is there for servers that tell later than we know.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is on its way, and how much may be.
#[derive(Debug)]
pub(crate) struct Flow {
    /// How long news takes, as far as is known.
    trip: Duration,
    least: u32,
    limit: u32,
    /// The server's window before anything was sent; known once there was a look at it.
    window: Option<u32>,
    sent: u64,
    taken: u64,
    round: Option<Round>,
    /// Since when nothing may be sent and there has been no news.
    held: Option<Instant>,
}

/// A whole limit's worth is on its way.
#[derive(Clone, Copy, Debug)]
struct Round {
    since: Instant,
    /// How much that is.
    amount: u64,
    /// It is over when this much was taken in, all in all.
    target: u64,
}

impl Flow {
    /// The window is the limit.
    pub(crate) fn unlimited() -> Self {
        Self {
            trip: Duration::ZERO,
            least: u32::MAX,
            limit: u32::MAX,
            window: None,
            sent: 0,
            taken: 0,
            round: None,
            held: None,
        }
    }

    /// News of what a host took in takes about as long as `trip`, from question to answer.
    pub(crate) fn new(trip: Duration) -> Self {
        let millis = u64::try_from(trip.as_millis()).unwrap_or(u64::MAX);
        let by_distance = u32::try_from(LEAST_BY_MILLI.saturating_mul(millis));
        let least = by_distance.unwrap_or(u32::MAX).clamp(LEAST, LEAST_FAR);
        Self { trip, least, limit: least, ..Self::unlimited() }
    }

    /// Takes in the news: how much room there is in the server's window.
    pub(crate) fn look(&mut self, room: u32, now: Instant) {
        let window = self.window.unwrap_or_default();
        // It is opened before anything is sent, by some in two steps.
        let window = if self.sent == 0 { window.max(room) } else { window };
        self.window = Some(window);
        let taken = self.sent.saturating_sub(window.saturating_sub(room).into());
        if taken > self.taken {
            self.taken = taken;
            self.held = None;
        }
        if let Some(round) = self.round.take_if(|round| round.target <= taken) {
            self.adapt(round, now.saturating_duration_since(round.since));
        }
        if self.held.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE) {
            *self = Self { window: self.window, sent: self.sent, ..Self::unlimited() };
        }
    }

    /// Twice of what would have been on its way if nothing had waited at the host, and what it does not tell.
    fn adapt(&mut self, round: Round, took: Duration) {
        self.trip = self.trip.min(took);
        let micros = |time: Duration| time.as_micros().max(1);
        let enough = UNTOLD + 2 * u128::from(round.amount) * micros(self.trip) / micros(took);
        self.limit = u32::try_from(enough).unwrap_or(u32::MAX).max(self.least);
    }

    /// Whether more may go out now.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        let on_its_way = self.sent - self.taken;
        let limit = self.limit.min(self.window.unwrap_or(u32::MAX));
        if self.limit == u32::MAX || on_its_way < limit.into() {
            return true;
        }
        let round = Round { since: now, amount: on_its_way, target: self.sent };
        self.round.get_or_insert(round);
        self.held.get_or_insert(now);
        false
    }

    /// So many bytes have gone out.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// How long nothing can change without news.
    pub(crate) fn rests(&self, now: Instant) -> Option<Duration> {
        let since = self.held?;
        Some(PATIENCE.saturating_sub(now.saturating_duration_since(since)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const KIB: u64 = 1024;
    const PACKET: u64 = 32 * KIB;

    /// How long one step of the simulation is.
    const TICK: Duration = Duration::from_micros(50);

    /// A host as its server shows it.
    #[derive(Clone, Copy)]
    struct Host {
        /// There and back.
        trip: Duration,
        /// What it takes in, in bytes for each millisecond.
        rate: u64,
        window: u64,
        /// It tells after more than that was taken in.
        tells_after: u64,
    }

    /// How long the host was busy with what it got, and how much waited at it at most.
    #[derive(Debug)]
    struct Course {
        time: Duration,
        waited: u64,
    }

    impl Host {
        fn openssh(trip: Duration, rate: u64) -> Self {
            Self { trip, rate, window: 2048 * KIB, tells_after: 96 * KIB }
        }

        /// Sends so many bytes.
        fn take(self, mut flow: Flow, total: u64) -> Course {
            let begun = Instant::now();
            let mut now = begun;
            let (mut there, mut back) = (VecDeque::new(), VecDeque::new());
            let (mut room, mut sent) = (self.window, 0);
            let (mut waiting, mut taken, mut untold) = (0, 0, 0);
            let mut waited = 0;
            while taken < total {
                now += TICK;
                assert!(now - begun < Duration::from_secs(3600), "it is stuck");
                while let Some((_, news)) = back.pop_front_if(|(at, _)| *at <= now) {
                    room += news;
                }
                flow.look(u32::try_from(room).unwrap(), now);
                while sent < total && room >= PACKET && flow.admits(now) {
                    let packet = PACKET.min(total - sent);
                    flow.sent(usize::try_from(packet).unwrap());
                    (sent, room) = (sent + packet, room - packet);
                    there.push_back((now + self.trip / 2, packet));
                }
                while let Some((_, packet)) = there.pop_front_if(|(at, _)| *at <= now) {
                    waiting += packet;
                }
                waited = waiting.max(waited);
                let took = waiting.min(self.rate * 50 / 1000);
                (waiting, taken, untold) = (waiting - took, taken + took, untold + took);
                if untold > self.tells_after {
                    back.push_back((now + self.trip / 2, untold));
                    untold = 0;
                }
            }
            Course { time: now - begun, waited }
        }
    }

    const NEAR: Duration = Duration::from_micros(100);
    const MIB: u64 = 1024 * KIB;

    #[test]
    fn a_near_host_has_little_waiting_and_is_never_idle() {
        let host = Host::openssh(NEAR, 20 * KIB);
        let course = host.take(Flow::new(NEAR), 20 * MIB);
        assert!(course.waited < 128 * KIB + PACKET, "{course:?}");
        let all_at_once = host.take(Flow::unlimited(), 20 * MIB);
        assert!(all_at_once.waited > 1900 * KIB, "{all_at_once:?}");
        assert!(course.time <= all_at_once.time + 2 * NEAR, "{course:?} {all_at_once:?}");
    }

    #[test]
    fn no_host_waits_for_us_whatever_its_speed_and_distance() {
        for micros in [0, 50, 100, 500, 1000, 2000, 5000, 10_000, 20_000, 80_000, 300_000] {
            // libssh2 comes to less than 400 MiB/s.
            for rate in [100, KIB, 10 * KIB, 100 * KIB, 400 * KIB] {
                let trip = Duration::from_micros(micros);
                let host = Host::openssh(trip, rate);
                let total = (rate * 1000).clamp(2 * MIB, 256 * MIB);
                let ours = host.take(Flow::new(trip), total);
                let all_at_once = host.take(Flow::unlimited(), total);
                assert!(
                    ours.time <= all_at_once.time + all_at_once.time / 10 + 4 * trip,
                    "{trip:?}, {rate} bytes a ms: {ours:?}, {all_at_once:?}"
                );
            }
        }
    }

    #[test]
    fn of_a_busy_host_that_was_slow_to_answer_not_much_more_waits() {
        let (host, late) = (Host::openssh(NEAR, 20 * KIB), Duration::from_millis(4));
        let course = host.take(Flow::new(late), 20 * MIB);
        assert!(course.waited < 400 * KIB + PACKET, "{course:?}");
    }

    #[test]
    fn a_host_that_goes_further_away_is_not_kept_waiting_for_long() {
        let was = Duration::from_millis(10);
        let host = Host::openssh(10 * was, 100 * KIB);
        // A MiB for each time there and back.
        assert!(host.take(Flow::new(was), 20 * MIB).time < 25 * 10 * was);
    }

    /// Sends all that is admitted, and has it taken in after some time. Gives how much that was.
    fn round(flow: &mut Flow, now: &mut Instant, took: Duration) -> u64 {
        let before = flow.sent;
        while flow.admits(*now) && flow.sent - before < 2048 * KIB {
            flow.sent(1024);
        }
        *now += took;
        flow.look(2 << 20, *now);
        flow.sent - before
    }

    #[test]
    fn what_may_be_on_its_way_grows_while_the_way_limits_and_falls_when_the_host_does() {
        let (mut now, mut flow) = (Instant::now(), Flow::new(NEAR));
        flow.look(2 << 20, now);
        let grown: Vec<u64> = (0..4).map(|_| round(&mut flow, &mut now, NEAR) / KIB).collect();
        assert_eq!(grown, [128, 352, 800, 1696]);
        assert_eq!(round(&mut flow, &mut now, 20 * NEAR) / KIB, 2048);
        let fallen: Vec<u64> =
            (0..3).map(|_| round(&mut flow, &mut now, 20 * NEAR) / KIB).collect();
        assert_eq!(fallen, [301, 128, 128]);
    }

    #[test]
    fn a_window_that_opens_in_two_steps_counts_as_a_whole() {
        let (now, mut flow) = (Instant::now(), Flow::new(NEAR));
        flow.look(0, now);
        flow.look(2 << 20, now);
        assert!(flow.admits(now));
    }

    #[test]
    fn a_small_window_is_filled_and_no_more() {
        let host = Host { window: 64 * KIB, tells_after: 16 * KIB, ..Host::openssh(NEAR, KIB) };
        assert_eq!(host.take(Flow::new(NEAR), MIB).waited, 64 * KIB);
    }

    #[test]
    fn a_host_that_tells_later_than_we_know_gets_everything() {
        let host = Host { tells_after: 1024 * KIB, ..Host::openssh(NEAR, 20 * KIB) };
        let course = host.take(Flow::new(NEAR), 20 * MIB);
        let all_at_once = host.take(Flow::unlimited(), 20 * MIB);
        assert!(course.time > all_at_once.time, "it was never held");
        assert!(course.time <= all_at_once.time + 2 * PATIENCE, "{course:?}");
    }

    #[test]
    fn the_longest_times_are_no_trouble() {
        let (now, mut flow) = (Instant::now(), Flow::new(Duration::MAX));
        flow.look(u32::MAX, now);
        flow.sent(usize::try_from(u32::MAX).unwrap());
        flow.look(0, now);
        flow.look(u32::MAX, now);
        assert!(flow.admits(now));
        assert_eq!(flow.rests(now), None);
    }

    #[test]
    fn it_is_known_until_when_nothing_changes() {
        let (now, mut flow) = (Instant::now(), Flow::new(NEAR));
        flow.look(2 << 20, now);
        assert_eq!(flow.rests(now), None);
        flow.sent(128 * 1024);
        assert!(!flow.admits(now));
        assert_eq!(flow.rests(now + PATIENCE / 2), Some(PATIENCE / 2));
        flow.look(2 << 20, now + PATIENCE / 2);
        assert_eq!(flow.rests(now + PATIENCE), None);
        flow.sent(128 * 1024);
        assert!(!flow.admits(now));
        flow.look((2 << 20) - 128 * 1024, now + PATIENCE);
        assert!(flow.admits(now + PATIENCE), "nothing was heard for too long");
    }
}
