//! The mask contract as WGSL to include, for dropout inside the caller's own kernels.

use super::axes::Multiply;
use super::text;
use crate::contract::mask::MASK_VERSION;

/// Options of [`functions`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FunctionsOptions {
    /// The prefix of each name that the text declares in the module's scope, `dropout_` by default.
    /// It is an identifier of ASCII letters, digits and underscores.
    pub prefix: String,
    /// The 64-bit product: [`Multiply::Halves`] by default, which every implementation of WGSL
    /// accepts.
    pub multiply: Multiply,
    /// The path under which naga_oil imports the text. There is none by default, since the header
    /// line that it needs is not WGSL.
    pub import_path: Option<String>,
}

/// Options for which [`functions`] has no valid text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionsError {
    /// The prefix is not an identifier.
    #[error(
        "`{}` cannot begin an identifier of WGSL: give at most {MAX_PREFIX_BYTES} ASCII letters, \
         digits and underscores, and begin with no digit and no two underscores, as `dropout_` does",
        prefix.escape_default()
    )]
    Prefix {
        /// The prefix given.
        prefix: String,
    },
    /// The import path is not a sequence of identifiers.
    #[error(
        "`{}` is no import path of naga_oil: give identifiers joined by `::`, such as \
         `wgpu_dropout::functions`",
        path.escape_default()
    )]
    ImportPath {
        /// The path given.
        path: String,
    },
}

/// The limit keeps names within what compilers accept.
const MAX_PREFIX_BYTES: usize = 64;

impl Default for FunctionsOptions {
    fn default() -> Self {
        Self {
            prefix: String::from("dropout_"),
            multiply: Multiply::Halves,
            import_path: None,
        }
    }
}

impl FunctionsOptions {
    /// These options with another prefix. One module can include two texts with different prefixes,
    /// which must differ in more than case and underscores.
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        Self { prefix, ..self }
    }

    /// These options with another 64-bit product.
    pub fn with_multiply(self, multiply: Multiply) -> Self {
        Self { multiply, ..self }
    }

    /// These options with naga_oil's header line `#define_import_path`.
    pub fn with_import_path(self, path: impl Into<String>) -> Self {
        let import_path = Some(path.into());
        Self {
            import_path,
            ..self
        }
    }
}

/// The [mask contract](crate::mask) as WGSL to include in a module of the caller's own: one struct,
/// constants, and functions of their arguments alone. The text has no bindings, no module-scope
/// variables and no entry points. Its results have the bits of [`Dropout`](crate::Dropout),
/// [`KeepMask`](crate::KeepMask) and the CPU path, since the library's own kernels are made of the
/// same files.
///
/// | function | result | Philox blocks |
/// |---|---|--:|
/// | `dropout_keep(mask, element: u32) -> bool` | true if element `element`, counted from the first index, is kept | 1 |
/// | `dropout_keep_at(mask, index: vec2<u32>) -> bool` | true if the element with this mask index, `(low, high)`, is kept | 1 |
/// | `dropout_keep_8(mask, block: vec2<u32>) -> u32` | the eight decisions of a block, lane l in bit l; `block` is `index >> 3`, and the first index is not added to it | 1 |
/// | `dropout_keep_32(mask, element: u32) -> u32` | the decisions of 32 elements from `element` on, counted from the first index | 4, or 5 if the mask index of `element` is not a multiple of 8 |
/// | `dropout_index(mask, coordinates: vec4<u32>, strides: vec4<u32>) -> vec2<u32>` | the mask index at `coordinates` of a layout; `strides` are its [`MaskLayout::index_strides`](crate::MaskLayout::index_strides) | 0 |
/// | `dropout_index_after(index: vec2<u32>, coordinate: u32, stride: vec2<u32>) -> vec2<u32>` | `index` plus the part of one more dimension, whose stride may have 64 bits | 0 |
/// | `dropout_value(mask, x: f32, keep: bool) -> f32` | inverted or classic dropout of `x`; also the gradient under inverted, classic and alpha dropout | 0 |
/// | `dropout_alpha(mask, x: f32, keep: bool) -> f32` | alpha dropout of `x` | 0 |
/// | `dropout_gaussian(mask, x: f32, element: u32) -> f32` | Gaussian dropout of `x`, and its gradient | 1 |
/// | `dropout_gaussian_at(mask, x: f32, index: vec2<u32>) -> f32` | the same for a mask index | 1 |
///
/// The last column counts the blocks that a call computes. It computes another one if a decision
/// depends on the lower half of D, which happens for one element in 65,536 \[M9\]. A mask index has
/// 64 bits, `(low, high)`. `mask` is the struct `DropoutMask`, passed by value; its bytes come from
/// [`DropoutCall::mask_params`](crate::DropoutCall::mask_params). Other names that begin with the
/// prefix are the text's own and may change in any release.
///
/// ```
/// use wgpu_dropout::wgsl::{self, FunctionsOptions};
///
/// let mine = r#"
///     struct Params { @align(16) mask: DropoutMask }
///     @group(0) @binding(0) var<storage, read_write> data: array<f32>;
///     @group(0) @binding(1) var<uniform> params: Params;
///
///     @compute @workgroup_size(64)
///     fn relu_and_dropout(@builtin(global_invocation_id) id: vec3<u32>) {
///         if id.x >= arrayLength(&data) { return; }
///         let keep = dropout_keep(params.mask, id.x);
///         data[id.x] = dropout_value(params.mask, max(data[id.x], 0.0), keep);
///     }
/// "#;
/// let text = wgsl::functions(&FunctionsOptions::default())? + mine;
/// # naga::front::wgsl::parse_str(&text)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`FunctionsError`] if the prefix or the import path is not valid.
pub fn functions(options: &FunctionsOptions) -> Result<String, FunctionsError> {
    let FunctionsOptions {
        prefix,
        multiply,
        import_path,
    } = options;
    if !is_identifier(prefix) || prefix.len() > MAX_PREFIX_BYTES {
        return Err(FunctionsError::Prefix {
            prefix: prefix.clone(),
        });
    }
    let mut text = String::new();
    if let Some(path) = import_path {
        if !path.split("::").all(is_identifier) {
            return Err(FunctionsError::ImportPath { path: path.clone() });
        }
        text += &format!("#define_import_path {path}\n");
    }
    text += &format!(
        "// Dropout masks of wgpu-dropout {}. Numbers in brackets cite its mask contract, \
         version {MASK_VERSION}.\n\n",
        env!("CARGO_PKG_VERSION"),
    );
    text += &renamed(&text::functions(*multiply), prefix);
    Ok(text)
}

/// Returns true for an ASCII identifier of WGSL. A reserved word is accepted too, since it only
/// begins longer names.
fn is_identifier(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    first && rest && !text.starts_with("__") && text != "_"
}

/// `text` with `prefix` in place of `dropout_` in every name, in the case of that name: `dropout_`,
/// `Dropout` or `DROPOUT_`.
fn renamed(text: &str, prefix: &str) -> String {
    let camel: String = prefix
        .split('_')
        .filter_map(|word| {
            let first = word.get(..1)?;
            Some(first.to_ascii_uppercase() + &word[1..])
        })
        .collect();
    let upper = prefix.to_ascii_uppercase();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(is_name) {
        let (between, name) = rest.split_at(begin);
        let end = name.find(|c| !is_name(c)).unwrap_or(name.len());
        let (name, after) = name.split_at(end);
        renamed += between;
        let (new, kept) = if let Some(kept) = name.strip_prefix("dropout_") {
            (prefix, kept)
        } else if let Some(kept) = name.strip_prefix("DROPOUT_") {
            (&*upper, kept)
        } else if name == "DropoutMask" {
            (&*camel, "Mask")
        } else {
            ("", name)
        };
        renamed += new;
        renamed += kept;
        rest = after;
    }
    renamed + rest
}

#[cfg(test)]
mod tests {
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    use super::*;

    fn module(text: &str, capabilities: Capabilities) -> naga::Module {
        let module = naga::front::wgsl::parse_str(text).unwrap();
        let mut validator = Validator::new(ValidationFlags::all(), capabilities);
        validator.validate(&module).unwrap();
        module
    }

    /// Names of the module's scope.
    fn names(module: &naga::Module) -> Vec<&str> {
        let types = module.types.iter().filter_map(|(_, ty)| ty.name.as_deref());
        let constants = module.constants.iter();
        let constants = constants.filter_map(|(_, constant)| constant.name.as_deref());
        let functions = module.functions.iter();
        let functions = functions.filter_map(|(_, function)| function.name.as_deref());
        types.chain(constants).chain(functions).collect()
    }

    #[test]
    fn the_text_has_functions_constants_and_one_struct_of_the_prefix() {
        for (multiply, capabilities) in [
            (Multiply::Halves, Capabilities::empty()),
            (Multiply::U64, Capabilities::SHADER_INT64),
        ] {
            for (prefix, cases) in [
                ("dropout_", ["dropout_", "DropoutMask", "DROPOUT_"]),
                ("abc_", ["abc_", "AbcMask", "ABC_"]),
                ("my_net1_", ["my_net1_", "MyNet1Mask", "MY_NET1_"]),
                ("_x", ["_x", "XMask", "_X"]),
            ] {
                let options = FunctionsOptions::default()
                    .with_prefix(prefix)
                    .with_multiply(multiply);
                let text = functions(&options).unwrap();
                let module = module(&text, capabilities);
                assert!(module.entry_points.is_empty() && module.global_variables.is_empty());
                assert!(module.overrides.is_empty());
                for name in names(&module) {
                    assert!(cases.iter().any(|case| name.starts_with(case)), "{name}");
                }
                assert_eq!(text.contains("u64"), multiply == Multiply::U64);
                let is_default = prefix == "dropout_";
                assert_eq!(text.contains("dropout_"), is_default);
            }
        }
    }

    #[test]
    fn texts_of_two_prefixes_stand_in_one_module() {
        let text = |prefix| functions(&FunctionsOptions::default().with_prefix(prefix)).unwrap();
        module(&(text("dropout_") + &text("abc_")), Capabilities::empty());
    }

    #[test]
    fn no_member_ends_in_a_digit() {
        let text = functions(&FunctionsOptions::default()).unwrap();
        let module = module(&text, Capabilities::empty());
        let mut members = 0;
        for (_, ty) in module.types.iter() {
            if let naga::TypeInner::Struct { members: all, span } = &ty.inner {
                assert_eq!(*span, 48);
                for member in all {
                    members += 1;
                    let name = member.name.as_deref().unwrap();
                    assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name}");
                }
            }
        }
        assert_eq!(members, 12);
    }

    #[test]
    fn the_header_of_naga_oil_is_the_first_line() {
        let options = FunctionsOptions::default().with_import_path("my::masks");
        let text = functions(&options).unwrap();
        assert_eq!(text.lines().next(), Some("#define_import_path my::masks"));
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        for prefix in [
            "",
            "1a",
            "__a",
            "_",
            "a-b",
            "a b",
            "é",
            "a\n",
            &"a".repeat(65),
        ] {
            let options = FunctionsOptions::default().with_prefix(prefix);
            let error = functions(&options).unwrap_err();
            assert!(matches!(error, FunctionsError::Prefix { .. }), "{prefix:?}");
            assert!(!error.to_string().contains('\n'));
        }
        for path in ["", "a::", "::a", "a:b", "a b", "a\nfn b() {}"] {
            let options = FunctionsOptions::default().with_import_path(path);
            let error = functions(&options).unwrap_err();
            assert!(
                matches!(error, FunctionsError::ImportPath { .. }),
                "{path:?}"
            );
        }
    }
}
