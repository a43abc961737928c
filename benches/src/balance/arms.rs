//! Arms in turns: every round runs each arm once, in another order; a run that was disturbed is repeated.

use super::quiet::Quiet;
use crate::clock::Spread;

/// How often a disturbed run is repeated before its round does without it.
const REPEATS: usize = 4;

/// Runs of several arms.
#[derive(Debug)]
pub struct Arms<T> {
    /// By arm, what its rounds showed.
    pub kept: Vec<Vec<T>>,
    /// Runs thrown away, each with its reason.
    pub rejected: Vec<&'static str>,
}

/// Something that may have been disturbed.
pub trait Judged {
    /// By what.
    fn disturbed(&self) -> Option<&'static str>;
}

impl<T: Judged> Arms<T> {
    /// Runs `arms` arms for some rounds. With `keep_all`, nothing is thrown away, only counted.
    ///
    /// # Errors
    /// The first that `run` gives, and when not one run of an arm was undisturbed.
    pub fn run(
        arms: usize,
        rounds: usize,
        keep_all: bool,
        quiet: &mut Quiet,
        mut run: impl FnMut(usize, u64, &mut Quiet) -> Result<T, String>,
    ) -> Result<Self, String> {
        let mut all = Self { kept: (0..arms).map(|_| Vec::new()).collect(), rejected: Vec::new() };
        for round in 0..rounds {
            for place in 0..arms {
                let arm = (place + round) % arms;
                for _ in 0..=REPEATS {
                    let result = run(arm, round as u64, quiet)?;
                    let disturbed = result.disturbed();
                    all.rejected.extend(disturbed);
                    if disturbed.is_none() || keep_all {
                        all.kept[arm].push(result);
                        break;
                    }
                }
            }
        }
        if all.kept.iter().any(Vec::is_empty) {
            return Err(format!("every run of an arm was disturbed: {}", all.reasons()));
        }
        Ok(all)
    }

    /// How many were thrown away, and why.
    #[must_use]
    pub fn reasons(&self) -> String {
        let mut sorted = self.rejected.clone();
        sorted.sort_unstable();
        let counts = sorted.chunk_by(|a, b| a == b).map(|same| format!("{} x {}", same.len(), same[0]));
        if sorted.is_empty() { "none".to_owned() } else { counts.collect::<Vec<_>>().join(", ") }
    }

    /// A number of each round of an arm: median and spread.
    #[must_use]
    pub fn spread(&self, arm: usize, of: impl Fn(&T) -> f64) -> Spread {
        Spread::of(&self.kept[arm].iter().map(of).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Run(usize, bool);

    impl Judged for Run {
        fn disturbed(&self) -> Option<&'static str> {
            self.1.then_some("noise")
        }
    }

    #[test]
    fn disturbed_runs_are_repeated_and_counted() {
        let mut runs = 0;
        let arms = Arms::run(2, 3, false, &mut Quiet::new(), |arm, _, _| {
            runs += 1;
            Ok(Run(arm, runs % 3 == 0))
        })
        .unwrap();
        assert!(
            arms.kept
                .iter()
                .enumerate()
                .all(|(arm, kept)| { kept.len() == 3 && kept.iter().all(|run| run.0 == arm && !run.1) })
        );
        assert_eq!(arms.rejected.len() + 6, runs);
        assert_eq!(arms.reasons(), format!("{} x noise", arms.rejected.len()));
        let none = Arms::run(1, 1, false, &mut Quiet::new(), |arm, _, _| Ok(Run(arm, true)));
        assert!(none.is_err(), "nothing is left to judge by");
    }
}
