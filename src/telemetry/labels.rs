//! Labels as types. A metric has a series for each of their values as soon as it is registered.

/// A label with a closed set of values.
pub trait Label: Copy + 'static {
    const NAME: &'static str;
    /// Each value that a call site gives. A test scrapes a worker and fails if one of them never moves.
    const ALL: &'static [Self];
    fn value(self) -> &'static str;
}

/// The labels of one metric, and the existing combinations of their values.
pub trait LabelSet: Copy + 'static {
    const NAMES: &'static [&'static str];
    fn all() -> Vec<Self>;
    /// In the order of [`LabelSet::NAMES`].
    fn values(self) -> Vec<&'static str>;
}

/// No label: one series.
impl LabelSet for () {
    const NAMES: &'static [&'static str] = &[];

    fn all() -> Vec<Self> {
        vec![()]
    }

    fn values(self) -> Vec<&'static str> {
        Vec::new()
    }
}

impl<L: Label> LabelSet for L {
    const NAMES: &'static [&'static str] = &[L::NAME];

    fn all() -> Vec<Self> {
        L::ALL.to_vec()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.value()]
    }
}

/// Declares an enum that is a label, or two labels with few combinations: its documentation, the labels'
/// names in the metric, and each value with its text.
macro_rules! label {
    ($(#[$meta:meta])* $vis:vis enum $name:ident: $label:literal {
        $($(#[$of:meta])* $variant:ident = $value:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        $vis enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $crate::telemetry::Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn value(self) -> &'static str {
                match self {
                    $(Self::$variant => $value,)+
                }
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis enum $name:ident: ($one:literal, $two:literal) {
        $($(#[$of:meta])* $variant:ident = ($first:literal, $second:literal),)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        $vis enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $crate::telemetry::LabelSet for $name {
            const NAMES: &'static [&'static str] = &[$one, $two];

            fn all() -> Vec<Self> {
                vec![$(Self::$variant),+]
            }

            fn values(self) -> Vec<&'static str> {
                match self {
                    $(Self::$variant => vec![$first, $second],)+
                }
            }
        }
    };
}

pub(crate) use label;
