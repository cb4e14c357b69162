//! Normal random numbers.

use rand::Rng;

/// The standard normal number that two uniform ones give, `u` in (0, 1] and `v` in [0, 1): one half
/// of a pair of Box & Muller, "A Note on the Generation of Random Normal Deviates" (1958).
pub fn box_muller(u: f64, v: f64) -> f64 {
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// A standard normal number, from two draws of 64 bits.
pub(crate) fn standard_normal(random: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    box_muller(u, v)
}
