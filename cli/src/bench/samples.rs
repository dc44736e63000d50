//! The times of repeated measurements.

use serde::ser::{Error, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Seconds, one value per round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, seconds: f64) {
        self.0.push(seconds);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that a `share` of the rounds did not exceed. 0.5 gives the median.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut seconds = self.0.clone();
        seconds.sort_by(f64::total_cmp);
        let last = seconds.len() - 1;
        seconds[(share * last as f64).round() as usize]
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// Writes quantiles for a reader, then all times in the order of the rounds, on one line.
impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = serde_json::to_string(&self.0)
            .and_then(RawValue::from_string)
            .map_err(S::Error::custom)?;
        let mut samples = serializer.serialize_struct("Samples", 6)?;
        samples.serialize_field("min", &self.quantile(0.0))?;
        samples.serialize_field("p10", &self.quantile(0.1))?;
        samples.serialize_field("median", &self.median())?;
        samples.serialize_field("p90", &self.quantile(0.9))?;
        samples.serialize_field("max", &self.quantile(1.0))?;
        samples.serialize_field("all", &all)?;
        samples.end()
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(seconds: I) -> Self {
        Self(seconds.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let samples = Samples::from_iter([5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(samples.quantile(0.0), 1.0);
        assert_eq!(samples.median(), 3.0);
        assert_eq!(samples.quantile(0.9), 5.0);
    }

    #[test]
    fn raw_times_keep_their_order() {
        let samples = Samples::from_iter([2.0, 0.5]);
        let json = serde_json::to_string(&samples).unwrap();
        assert!(json.starts_with(r#"{"min":0.5,"p10":0.5,"#), "{json}");
        assert!(json.ends_with(r#""max":2.0,"all":[2.0,0.5]}"#), "{json}");
    }
}
