//! The closed loop: virtual users who ask, wait for the answer, think, and ask again. A slow gateway is asked less, as
//! it is by people; what it costs to be asked at a fixed rate, only [`super::open`] shows.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::scenario::Sessions;
use super::shot::Shooter;

/// Nobody thinks longer than so many times the mean.
const LONGEST_THOUGHT: f64 = 5.0;

/// How many users there are, and how they ask.
#[derive(Clone, Copy, Debug)]
pub struct ClosedSettings {
    /// Users.
    pub users: usize,
    /// Mean time between an answer and the next page, exponentially distributed; 0 for none.
    pub think: Duration,
    /// Time over which users come, one after the other.
    pub ramp: Duration,
    /// Another number gives other sessions.
    pub seed: u64,
}

/// Runs users until they are told to stop; then they wait for what they asked. Each stays with one gateway.
pub async fn run(
    settings: &ClosedSettings,
    sessions: &Sessions,
    gateways: &[Shooter],
    stop: &CancellationToken,
) {
    let (mut users, clock) = (JoinSet::new(), Clock::start());
    for (number, shooter) in (0..settings.users).zip(gateways.iter().cycle()) {
        let user = User {
            shooter: shooter.another(),
            sessions: sessions.clone(),
            random: SmallRng::seed_from_u64(
                settings.seed.wrapping_mul(1_000_003).wrapping_add(number as u64),
            ),
            think: settings.think,
            stop: stop.clone(),
            clock: clock.clone(),
        };
        let share = number as f64 / settings.users.max(1) as f64;
        users.spawn(user.come(settings.ramp.mul_f64(share)));
    }
    while users.join_next().await.is_some() {}
}

struct User {
    shooter: Shooter,
    sessions: Sessions,
    random: SmallRng,
    think: Duration,
    stop: CancellationToken,
    clock: Clock,
}

impl User {
    async fn come(mut self, after: Duration) {
        self.wait(after).await;
        while !self.stop.is_cancelled() {
            for page in self.sessions.next(&mut self.random) {
                join_all(page.iter().map(|ask| self.shooter.shoot_now(ask))).await;
                let thought = thought(self.think, &mut self.random);
                self.wait(thought).await;
                if self.stop.is_cancelled() {
                    return;
                }
            }
        }
    }

    async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.clock.sleep_until(Instant::now() + time) => {}
            }
        }
    }
}

/// How long somebody thinks.
fn thought(mean: Duration, random: &mut impl Rng) -> Duration {
    let share = -(1.0 - random.random::<f64>()).ln();
    mean.mul_f64(share.min(LONGEST_THOUGHT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_have_their_mean() {
        let mut random = SmallRng::seed_from_u64(3);
        let mean = Duration::from_secs(5);
        let sum: Duration = (0..10_000).map(|_| thought(mean, &mut random)).sum();
        assert!((4.8..5.2).contains(&(sum.as_secs_f64() / 1e4)), "{sum:?}");
        assert_eq!(thought(Duration::ZERO, &mut random), Duration::ZERO);
    }
}
