//! Patterns and element types as text, and the layout of each pattern.

use proptest::prelude::*;
use wgpu_dropout::{Direction, ElementType, LayoutError, MaskLayout, MaskPattern, ParseNameError};

use MaskPattern::{
    DropPath, Elementwise, FeatureChannelsFirst, FeatureChannelsLast, NoiseShape,
    TimeLockedBatchFirst, TimeLockedTimeFirst,
};

type Layout = fn(&[u64]) -> Result<MaskLayout, LayoutError>;

const NAMED: [(&str, MaskPattern, Layout); 6] = [
    ("elementwise", Elementwise, MaskLayout::elementwise),
    (
        "feature-channels-first",
        FeatureChannelsFirst,
        MaskLayout::feature_channels_first,
    ),
    (
        "feature-channels-last",
        FeatureChannelsLast,
        MaskLayout::feature_channels_last,
    ),
    (
        "time-locked-batch-first",
        TimeLockedBatchFirst,
        MaskLayout::time_locked_batch_first,
    ),
    (
        "time-locked-time-first",
        TimeLockedTimeFirst,
        MaskLayout::time_locked_time_first,
    ),
    ("drop-path", DropPath, MaskLayout::drop_path),
];

#[test]
fn a_name_reads_back_and_has_the_layout_of_that_name() {
    assert_eq!(MaskPattern::default(), Elementwise);
    for (name, pattern, layout) in NAMED {
        assert_eq!(pattern.to_string(), name);
        assert_eq!(name.parse(), Ok(pattern.clone()));
        for shape in [&[2, 6, 5, 7][..], &[4, 3], &[1, 0, 3], &[5], &[], &[1; 9]] {
            assert_eq!(pattern.layout(shape), layout(shape), "{name}, {shape:?}");
        }
    }
}

#[test]
fn a_noise_shape_reads_back_and_has_its_layout() {
    for (text, noise_shape) in [
        ("noise-shape=*,1,20", &[None, Some(1), Some(20)][..]),
        ("noise-shape=*", &[None]),
        ("noise-shape=1", &[Some(1)]),
        ("noise-shape=0,*", &[Some(0), None]),
    ] {
        let pattern = NoiseShape(noise_shape.to_vec());
        assert_eq!(pattern.to_string(), text);
        assert_eq!(text.parse(), Ok(pattern.clone()));
        for shape in [&[3, 9, 20][..], &[9, 20], &[2]] {
            let expected = MaskLayout::noise_shape(shape, noise_shape);
            assert_eq!(pattern.layout(shape), expected, "{text}, {shape:?}");
        }
    }
}

#[test]
fn a_noise_shape_of_no_dimension_reads_back() {
    let pattern = NoiseShape(Vec::new());
    assert_eq!(pattern.to_string().parse(), Ok(pattern));
}

#[test]
fn texts_that_name_nothing_are_refused() {
    let texts = ",Elementwise,drop path, drop-path,noise-shape,noise-shape=-1,noise-shape=+1,\
                 noise-shape=None,noise-shape=18446744073709551616";
    for text in texts.split(',').chain(["noise-shape=,1", "noise-shape=1,"]) {
        let error = text.parse::<MaskPattern>().unwrap_err();
        assert_eq!((error.text.as_str(), error.what), (text, "pattern"));
        assert_eq!(
            error.to_string(),
            format!(
                "`{text}` is no pattern: give one of elementwise, feature-channels-first, \
                 feature-channels-last, time-locked-batch-first, time-locked-time-first, \
                 drop-path, noise-shape=*,1,20"
            )
        );
    }
}

#[test]
fn element_types_have_names() {
    for (element, name) in [
        (ElementType::F32, "f32"),
        (ElementType::F16, "f16"),
        (ElementType::Bf16, "bf16"),
    ] {
        assert_eq!(element.to_string(), name);
        assert_eq!(name.parse(), Ok(element));
    }
    for text in ["", "F32", "f64", "half", "f32 "] {
        let error: ParseNameError = text.parse::<ElementType>().unwrap_err();
        assert_eq!((error.text.as_str(), error.what), (text, "element type"));
        assert_eq!(
            error.to_string(),
            format!("`{text}` is no element type: give one of f32, f16, bf16")
        );
    }
}

#[test]
fn directions_have_names() {
    for (direction, name) in [
        (Direction::Forward, "forward"),
        (Direction::Backward, "backward"),
    ] {
        assert_eq!(direction.to_string(), name);
        assert_eq!(name.parse(), Ok(direction));
    }
    assert_eq!(
        "back".parse::<Direction>().unwrap_err().to_string(),
        "`back` is no direction: give one of forward, backward"
    );
}

proptest! {
    #[test]
    fn any_noise_shape_reads_back(sizes in prop::collection::vec(any::<Option<u64>>(), 1..10)) {
        let pattern = NoiseShape(sizes);
        prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }

    #[test]
    fn no_text_panics(text in "[elmntwisfaurchdop=*,0-9 -]{0,40}") {
        let _ = text.parse::<MaskPattern>();
        let _ = text.parse::<ElementType>();
    }
}
