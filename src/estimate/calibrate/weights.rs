//! Gamma–Poisson weights: what share of a mass is force-closed when price sweeps it, learned from what was.
//!
//! A source of mass `i` (a component of the estimator, a rival's map, the range itself) forces closed `theta_i · mass_i` when
//! it is swept. With liquidations counted in units of their usual size, the count is Poisson in exposure times theta, and theta
//! has a Gamma prior (mean `m`, worth `a` events). After `N` events on exposure `X`:
//!
//! ```text
//! theta = (a + N) / (a / (m·g) + X)          variance = (a + N) / (a / (m·g) + X)²
//! ```
//!
//! `g` is what sources of similar distance have in common: evidence on one leverage says something about its neighbours and, at
//! half weight, about the other side (`estimator.md` §4).

use serde::{Deserialize, Serialize};

use super::super::components::{CLASSES, Components};

/// Holding classes.
const H: usize = CLASSES.len();
/// Events the priors of all slots are worth together, before they are shared out.
const PRIOR_EVENTS: f64 = 20.0;
/// Events the common factor starts from, on both sides of the fraction.
const SHARED_EVENTS: f64 = 10.0;
/// Width of the kernel that shares evidence, in the logarithm of distance.
const SHARED_WIDTH: f64 = 0.35;
/// Weight of the other side's evidence.
const OTHER_SIDE: f64 = 0.5;
/// Evidence of one component counts at most this many events when it is shared.
const MOST_SHARED: f64 = 40.0;

/// One source of mass and what is known of its weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Prior mean of theta.
    pub mean: f64,
    /// Events the prior is worth.
    pub count: f64,
    /// Events attributed to it.
    pub events: f64,
    /// Mass swept, in units of the usual size.
    pub exposure: f64,
}

impl Source {
    /// Nothing seen yet.
    pub const fn new(mean: f64, count: f64) -> Self {
        Self { mean, count, events: 0.0, exposure: 0.0 }
    }

    /// Theta, given what similar sources have in common.
    pub fn theta(&self, common: f64) -> f64 {
        (self.count + self.events) / (self.count / (self.mean * common) + self.exposure)
    }
}

/// The sources of both sides and their weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GammaPoisson {
    sides: [Vec<Source>; 2],
    theta: [Vec<f64>; 2],
    sharing: Option<Sharing>,
}

/// How much components have in common: a symmetric kernel, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sharing {
    components: usize,
    kernel: Vec<f64>,
}

impl GammaPoisson {
    /// Sources alike for both sides, none of which tells anything about another.
    pub fn new(sources: &[Source]) -> Self {
        let theta: Vec<f64> = sources.iter().map(|s| s.mean).collect();
        Self { sides: [sources.to_vec(), sources.to_vec()], theta: [theta.clone(), theta], sharing: None }
    }

    /// The slots of the estimator (component-major, then class), followed by other sources.
    pub fn of_components(components: &Components, others: &[Source]) -> Self {
        let prior = components.prior();
        let count = components.len() as f64;
        let slots = components.iter().flat_map(|c| {
            let events = PRIOR_EVENTS * (c.weight * count).max(0.05) / H as f64;
            [events; H]
        });
        let sources: Vec<Source> =
            prior.into_iter().zip(slots).map(|(mean, n)| Source::new(mean, n)).collect();
        let sources = [&sources, others].concat();
        Self { sharing: Some(Sharing::new(components)), ..Self::new(&sources) }
    }

    /// The contract's terms have changed: new priors, the evidence stays where the components are as many.
    pub fn set_components(&mut self, components: &Components, others: &[Source]) {
        let mut fresh = Self::of_components(components, others);
        for (new, old) in fresh.sides.iter_mut().zip(&self.sides) {
            if new.len() == old.len() {
                for (new, old) in new.iter_mut().zip(old) {
                    (new.events, new.exposure) = (old.events, old.exposure);
                }
            }
        }
        fresh.refresh();
        *self = fresh;
    }

    /// Whether all parts fit each other, as they may not where the state was read from a file.
    pub fn is_sound(&self, sources: usize) -> bool {
        let fits = |s: &Sharing| s.kernel.len() == s.components * s.components && s.components * H <= sources;
        self.sides.iter().all(|side| side.len() == sources)
            && self.theta.iter().all(|side| side.len() == sources)
            && self.sharing.as_ref().is_none_or(fits)
    }

    /// Weights of one side.
    pub fn theta(&self, side: usize) -> &[f64] {
        &self.theta[side]
    }

    /// One side's sources.
    pub fn sources(&self, side: usize) -> &[Source] {
        &self.sides[side]
    }

    /// One side's sources, to add evidence to.
    pub fn sources_mut(&mut self, side: usize) -> &mut [Source] {
        &mut self.sides[side]
    }

    /// Expected amount forced closed when these masses are swept.
    pub fn forecast(&self, side: usize, masses: &[f64]) -> f64 {
        self.theta[side].iter().zip(masses).map(|(theta, mass)| theta * mass).sum()
    }

    /// Attributes events to the sources of these masses: `rate` for each unit expected of them.
    pub fn credit(&mut self, side: usize, masses: &[f64], rate: f64) {
        for ((source, theta), mass) in self.sides[side].iter_mut().zip(&self.theta[side]).zip(masses) {
            source.events += theta * mass * rate;
        }
    }

    /// Takes in that `total` was forced closed while these masses were swept; `size` is the usual size, `most` the largest
    /// total that is believed.
    pub fn learn(&mut self, side: usize, masses: &[f64], total: f64, size: f64, most: f64) {
        let forecast = self.forecast(side, masses);
        for (source, mass) in self.sides[side].iter_mut().zip(masses) {
            source.exposure += mass / size;
        }
        if forecast > 0.0 {
            self.credit(side, masses, total.min(most) / size / forecast);
        }
    }

    /// Makes the weights follow the evidence.
    pub fn refresh(&mut self) {
        let common = self.sharing.as_ref().map(|sharing| sharing.common(&self.sides));
        for (side, (theta, sources)) in self.theta.iter_mut().zip(&self.sides).enumerate() {
            for (slot, (theta, source)) in theta.iter_mut().zip(sources).enumerate() {
                let g = common.as_ref().and_then(|c| c[side].get(slot / H)).copied().unwrap_or(1.0);
                *theta = source.theta(g);
            }
        }
    }

    /// Lets evidence fade: `left` of it remains.
    pub fn fade(&mut self, left: f64) {
        for source in self.sides.iter_mut().flatten() {
            source.events *= left;
            source.exposure *= left;
        }
    }

    /// Multiplies all events, where the scale of a feed turned out otherwise.
    pub fn rescale(&mut self, factor: f64) {
        for source in self.sides.iter_mut().flatten() {
            source.events *= factor;
        }
    }

    /// Events attributed in all.
    pub fn events(&self) -> f64 {
        self.sides.iter().flatten().map(|s| s.events).sum()
    }

    /// By side and source, how far the weight has moved from its prior: a factor.
    pub fn gains(&self) -> [Vec<f64>; 2] {
        let gain = |(theta, s): (&f64, &Source)| if s.mean > 0.0 { theta / s.mean } else { 1.0 };
        [0, 1].map(|side| self.theta[side].iter().zip(&self.sides[side]).map(gain).collect())
    }

    /// Takes another market's findings as the prior: its gains, by side and source.
    pub fn adopt(&mut self, own_prior: &[f64], gains: &[Vec<f64>; 2]) {
        for (side, gains) in self.sides.iter_mut().zip(gains) {
            for ((source, mean), gain) in side.iter_mut().zip(own_prior).zip(gains) {
                source.mean = mean * gain;
            }
        }
    }
}

impl Sharing {
    fn new(components: &Components) -> Self {
        let middles: Vec<f64> = components.iter().map(|c| libm::log(c.distance[0])).collect();
        let kernel = |a: f64, b: f64| {
            let z = (a - b) / SHARED_WIDTH;
            libm::exp(-0.5 * z * z)
        };
        let kernel = middles.iter().flat_map(|a| middles.iter().map(|b| kernel(*a, *b))).collect();
        Self { components: components.len(), kernel }
    }

    /// By side and component: events over expected events, of this and all similar ones.
    fn common(&self, sides: &[Vec<Source>; 2]) -> [Vec<f64>; 2] {
        // Events seen and events the prior expected, by side and component, each capped.
        let evidence = |sources: &Vec<Source>| -> Vec<(f64, f64)> {
            let slots = sources.chunks_exact(H).take(self.components);
            slots
                .map(|classes| {
                    let seen: f64 = classes.iter().map(|s| s.events).sum();
                    let expected: f64 = classes.iter().map(|s| s.exposure * s.mean).sum();
                    let cap = (MOST_SHARED / seen.max(expected).max(1e-9)).min(1.0);
                    (seen * cap, expected * cap)
                })
                .collect()
        };
        let evidence = [evidence(&sides[0]), evidence(&sides[1])];
        [0, 1].map(|side| {
            self.kernel
                .chunks_exact(self.components)
                .map(|row| {
                    let (mut seen, mut expected) = (SHARED_EVENTS, SHARED_EVENTS);
                    for (other, weight) in [(side, 1.0), (1 - side, OTHER_SIDE)] {
                        for (near, (n, x)) in row.iter().zip(&evidence[other]) {
                            seen += weight * near * n;
                            expected += weight * near * x;
                        }
                    }
                    seen / expected
                })
                .collect()
        })
    }
}
