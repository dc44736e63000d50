//! Rates, keys, calls, layouts and patterns in files: valid ones read back, invalid ones are
//! refused.

use core::fmt::Debug;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wgpu_dropout::{
    Direction, DropoutCall, DropoutKind, DropoutRate, ElementType, MaskKey, MaskLayout, MaskPattern,
};

/// `value` is written as `text`, and `text` reads back as `value`.
#[track_caller]
fn reads_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, text: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), text);
    assert_eq!(&serde_json::from_str::<T>(text).unwrap(), value);
}

/// Reading `text` fails, and the error contains `cause`.
#[track_caller]
fn refuses<T: DeserializeOwned + Debug>(text: &str, cause: &str) {
    let error = serde_json::from_str::<T>(text).unwrap_err().to_string();
    assert!(error.contains(cause), "{error}");
}

fn rate(p: f64) -> DropoutRate {
    DropoutRate::new(p).unwrap()
}

#[test]
fn a_rate_is_a_number() {
    reads_back(&rate(0.1), "0.1");
    reads_back(&rate(1.0), "1.0");
    reads_back(&DropoutRate::ZERO, "0.0");
    assert_eq!(
        serde_json::from_str::<DropoutRate>("-0.0").unwrap(),
        rate(0.0)
    );
    for p in ["1.5", "-0.1", "1.0000000000000002"] {
        let cause = format!("the probability of dropping is {p}; give a number from 0 to 1");
        refuses::<DropoutRate>(p, &cause);
    }
    refuses::<DropoutRate>("null", "invalid type");
    refuses::<DropoutRate>("\"0.1\"", "invalid type");
}

#[test]
fn a_call_has_its_fields_names() {
    let key = MaskKey::new(u64::MAX, 0x3_0000_0007);
    let key_text = r#"{"seed":18446744073709551615,"stream":12884901895}"#;
    reads_back(&key, key_text);
    for (kind, name) in [
        (DropoutKind::Inverted, "inverted"),
        (DropoutKind::Classic, "classic"),
        (DropoutKind::Alpha, "alpha"),
        (DropoutKind::Gaussian, "gaussian"),
    ] {
        reads_back(&kind, &format!("\"{name}\""));
        let call = DropoutCall::new(rate(0.25), key).with_kind(kind);
        let text = format!(r#"{{"rate":0.25,"kind":"{name}","key":{key_text},"origin":9}}"#);
        reads_back(&call.with_origin(9), &text);
    }
    let bad_rate = format!(r#"{{"rate":1.25,"kind":"alpha","key":{key_text},"origin":9}}"#);
    refuses::<DropoutCall>(&bad_rate, "the probability of dropping is 1.25");
    let bad_kind = format!(r#"{{"rate":0.25,"kind":"Alpha","key":{key_text},"origin":9}}"#);
    refuses::<DropoutCall>(&bad_kind, "unknown variant `Alpha`");
}

#[test]
fn directions_and_element_types_have_their_names() {
    reads_back(&Direction::Forward, "\"forward\"");
    reads_back(&Direction::Backward, "\"backward\"");
    for element in [ElementType::F32, ElementType::F16, ElementType::Bf16] {
        reads_back(&element, &format!("\"{element}\""));
    }
    refuses::<ElementType>("\"f64\"", "unknown variant `f64`");
}

#[test]
fn a_layout_is_its_map() {
    let part = MaskLayout::drop_path(&[4, 6])
        .unwrap()
        .shard(&[1, 0], &[3, 6])
        .unwrap();
    let text = r#"{"shape":[3,6],"strides":[1,0],"first_index":1}"#;
    reads_back(&part, text);
    let scalar = MaskLayout::elementwise(&[]).unwrap();
    reads_back(&scalar, r#"{"shape":[],"strides":[],"first_index":0}"#);
    let last = MaskLayout::strided(&[3], &[u64::MAX / 2])
        .unwrap()
        .offset(1)
        .unwrap();
    reads_back(
        &last,
        r#"{"shape":[3],"strides":[9223372036854775807],"first_index":1}"#,
    );
}

/// Reading refuses what the constructors refuse.
#[test]
fn a_layout_that_is_none_is_refused() {
    for (shape, strides, first_index, cause) in [
        (
            "[2,3]",
            "[18446744073709551615,1]",
            0,
            "mask indices pass 2^64 - 1 in dimension 1, of 3 elements 1 apart",
        ),
        (
            "[3]",
            "[9223372036854775807]",
            2,
            "an offset of 2 moves mask index 18446744073709551614 past 2^64 - 1",
        ),
        (
            "[2,3]",
            "[1]",
            0,
            "1 number in the strides for 2 dimensions: give one for each dimension",
        ),
        (
            "[1,1,1,1,1,1,1,1,1]",
            "[0,0,0,0,0,0,0,0,0]",
            0,
            "9 dimensions, at most 8",
        ),
        ("[-1]", "[1]", 0, "invalid value"),
    ] {
        let text =
            format!(r#"{{"shape":{shape},"strides":{strides},"first_index":{first_index}}}"#);
        refuses::<MaskLayout>(&text, cause);
    }
    refuses::<MaskLayout>(r#"{"shape":[2],"strides":[1]}"#, "missing field");
}

#[test]
fn a_pattern_has_its_variants_name() {
    for (pattern, name) in [
        (MaskPattern::Elementwise, "Elementwise"),
        (MaskPattern::FeatureChannelsFirst, "FeatureChannelsFirst"),
        (MaskPattern::FeatureChannelsLast, "FeatureChannelsLast"),
        (MaskPattern::TimeLockedBatchFirst, "TimeLockedBatchFirst"),
        (MaskPattern::TimeLockedTimeFirst, "TimeLockedTimeFirst"),
        (MaskPattern::DropPath, "DropPath"),
    ] {
        reads_back(&pattern, &format!("\"{name}\""));
    }
    let noise_shape = MaskPattern::NoiseShape(vec![None, Some(1), Some(20)]);
    reads_back(&noise_shape, r#"{"NoiseShape":[null,1,20]}"#);
    reads_back(&MaskPattern::NoiseShape(vec![]), r#"{"NoiseShape":[]}"#);
    refuses::<MaskPattern>("\"elementwise\"", "unknown variant `elementwise`");
}

proptest! {
    #[test]
    fn any_call_reads_back(
        p in 0.0..=1.0,
        seed in any::<u64>(),
        stream in any::<u64>(),
        origin in any::<u64>(),
    ) {
        let call = DropoutCall::new(rate(p), MaskKey::new(seed, stream)).with_origin(origin);
        let text = serde_json::to_string(&call).unwrap();
        let read: DropoutCall = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read, call);
    }

    /// Reading gives no layout that a program could not make.
    #[test]
    fn any_strides_read_back_or_are_refused(
        dimensions in prop::collection::vec((0_u64..4, any::<u64>(), 0_u32..64), 0..=9),
        first_index in any::<u64>(),
    ) {
        let shape: Vec<u64> = dimensions.iter().map(|(size, ..)| *size).collect();
        let strides: Vec<u64> = dimensions.iter().map(|(_, bits, shift)| bits >> shift).collect();
        let text = format!(
            r#"{{"shape":{shape:?},"strides":{strides:?},"first_index":{first_index}}}"#
        );
        let read = serde_json::from_str::<MaskLayout>(&text).ok();
        let made = MaskLayout::strided(&shape, &strides).and_then(|l| l.offset(first_index)).ok();
        prop_assert_eq!(&read, &made);
        if let Some(layout) = made {
            let again = serde_json::to_string(&layout).unwrap();
            prop_assert_eq!(serde_json::from_str::<MaskLayout>(&again).unwrap(), layout);
        }
    }
}

#[cfg(all(feature = "cpu", feature = "wgpu"))]
#[test]
fn an_audit_report_has_its_checks_outcomes_beside_their_names() {
    use wgpu_dropout::audit::{AuditOptions, AuditReport, Check, Outcome};

    let checks = [
        (
            Outcome::Passed {
                figure: "33 vectors".to_owned(),
            },
            r#"{"name":"known answers","outcome":"passed","figure":"33 vectors"}"#,
        ),
        (
            Outcome::Failed {
                expected: "1".to_owned(),
                got: "2".to_owned(),
            },
            r#"{"name":"known answers","outcome":"failed","expected":"1","got":"2"}"#,
        ),
        (
            Outcome::NotApplicable {
                reason: "no u64".to_owned(),
            },
            r#"{"name":"known answers","outcome":"not_applicable","reason":"no u64"}"#,
        ),
    ];
    for (outcome, text) in checks {
        let check = Check::new("known answers", outcome);
        reads_back(&check, text);
        let report = AuditReport::new(vec![check], Some(7));
        let options = r#"{"long":false,"seed":42}"#;
        let text = format!(r#"{{"checks":[{text}],"mask_hash":7,"options":{options}}}"#);
        reads_back(&report, &text);
    }
    let text = r#"{"long":true,"seed":18446744073709551615}"#;
    reads_back(&AuditOptions::long(u64::MAX), text);
    refuses::<Check>(r#"{"name":"x","outcome":"fine"}"#, "unknown variant");
}
