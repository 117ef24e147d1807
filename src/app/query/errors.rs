//! What went wrong, as for a person: each error once, with everything that helps against it.

use std::io::{self, Write};

use crate::presence::CallError;

/// The errors of a round of questions.
#[derive(Debug, Default)]
pub(super) struct Errors {
    /// One of each kind, and how often it came.
    round: Vec<(CallError, usize)>,
    /// The kinds that were told after the round before: they are no news.
    told: Vec<&'static str>,
}

impl Errors {
    /// A call failed for good.
    pub(super) fn note(&mut self, error: &CallError) {
        match self
            .round
            .iter_mut()
            .find(|(known, _)| known.label == error.label)
        {
            Some((_, times)) => *times += 1,
            None => self.round.push((error.clone(), 1)),
        }
    }

    /// Writes what is news at the end of a round in which so many clients were `not_asked` about.
    pub(super) fn tell(&mut self, not_asked: usize, err: &mut dyn Write) -> io::Result<()> {
        let round = std::mem::take(&mut self.round);
        let mut news = false;
        for (error, times) in round
            .iter()
            .filter(|(error, _)| !self.told.contains(&error.label))
        {
            let often = if *times > 1 {
                format!(" ({times} times)")
            } else {
                String::new()
            };
            writeln!(err, "error{often}: {error}")?;
            news = true;
        }
        if news && not_asked > 0 {
            writeln!(
                err,
                "{not_asked} more not asked: their calls would have ended like this"
            )?;
        }
        self.told = round.into_iter().map(|(error, _)| error.label).collect();
        Ok(())
    }
}
