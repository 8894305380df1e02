//! Cheap seeded draws that come out the same on every machine.
//!
//! Only IEEE arithmetic and `libm` are used: the platform's own `exp` and `ln` differ in the last bit.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// A stream of its own for every (seed, name, purpose).
    pub fn new(seed: u64, name: &str, purpose: u64) -> Self {
        // FNV-1a: the name only has to choose a stream, not to be hidden in it.
        let tag = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&tag.to_le_bytes());
        key[16..24].copy_from_slice(&purpose.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// In (0, 1), never either end, so that its logarithm is finite.
    pub fn unit(&mut self) -> f64 {
        (f64::from(self.0.next_u32()) + 0.5) * (1.0 / 4_294_967_296.0)
    }

    /// In `[low, high)`.
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Zero to `n - 1`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// Standard normal but for its tails, which end at 3.46: the sum of four uniforms, one draw and no table.
    pub fn normal(&mut self) -> f64 {
        const SQRT_3: f64 = 1.732_050_807_568_877_2;
        let bits = self.0.next_u64();
        let sum = (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48);
        (sum as f64 / 65_536.0 + 2.0 / 65_536.0 - 2.0) * SQRT_3
    }

    /// Standard normal with its tails, for what is drawn rarely and matters most when it is far out: sizes, crashes.
    pub fn far_normal(&mut self) -> f64 {
        // Box and Muller's transform.
        let (radius, turn) = (libm::sqrt(2.0 * self.wait()), std::f64::consts::TAU * self.unit());
        radius * libm::cos(turn)
    }

    /// Log-normal with this median and this sigma of the logarithm.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.far_normal())
    }

    /// Exponential with mean 1.
    pub fn wait(&mut self) -> f64 {
        -libm::log(self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_draws_have_mean_zero_and_unit_variance() {
        let mut dice = Dice::new(7, "BTCUSDT", 0);
        let draws: Vec<f64> = (0..40_000).map(|_| dice.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn streams_differ_by_seed_name_and_purpose() {
        let first = |mut d: Dice| d.unit().to_bits();
        let base = first(Dice::new(1, "BTCUSDT", 0));
        assert_eq!(base, first(Dice::new(1, "BTCUSDT", 0)));
        assert_ne!(base, first(Dice::new(2, "BTCUSDT", 0)));
        assert_ne!(base, first(Dice::new(1, "ETHUSDT", 0)));
        assert_ne!(base, first(Dice::new(1, "BTCUSDT", 1)));
    }
}
