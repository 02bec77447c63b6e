//! The macros. Which set is compiled is this crate's feature, not the caller's: hence two sets.

/// Declares a site in the caller's source. No part of the interface.
#[cfg(feature = "simulate")]
#[doc(hidden)]
#[macro_export]
macro_rules! __site {
    ($kind:ident, $name:expr) => {{
        #[$crate::__private::linkme::distributed_slice($crate::assert::SITES)]
        #[linkme(crate = $crate::__private::linkme)]
        static SITE: $crate::assert::Site = $crate::assert::Site {
            name: $name,
            kind: $crate::assert::SiteKind::$kind,
            file: ::core::file!(),
            line: ::core::line!(),
        };
        &SITE
    }};
}

/// Asserts what must hold each time: `always!(condition, "name")`, or with a message,
/// `always!(condition, "name", "{} of {}", part, whole)`. It is checked in production too.
#[cfg(feature = "simulate")]
#[macro_export]
macro_rules! always {
    ($condition:expr, $name:expr $(,)?) => {
        $crate::assert::always(
            $crate::__site!(Always, $name),
            $condition,
            ::core::format_args!(""),
        )
    };
    ($condition:expr, $name:expr, $format:literal $($arguments:tt)*) => {
        $crate::assert::always(
            $crate::__site!(Always, $name),
            $condition,
            ::core::format_args!($format $($arguments)*),
        )
    };
}

/// Asserts what must hold each time: `always!(condition, "name")`, or with a message,
/// `always!(condition, "name", "{} of {}", part, whole)`. It is checked in production too.
#[cfg(not(feature = "simulate"))]
#[macro_export]
macro_rules! always {
    ($condition:expr, $name:expr $(,)?) => {
        if !$condition {
            ::core::panic!("always {:?} does not hold", $name)
        }
    };
    ($condition:expr, $name:expr, $format:literal $($arguments:tt)*) => {
        if !$condition {
            ::core::panic!(
                "always {:?} does not hold: {}",
                $name,
                ::core::format_args!($format $($arguments)*)
            )
        }
    };
}

/// Says that the program never comes here: `unreachable!("name")`, or with a message. It panics in
/// production too.
#[cfg(feature = "simulate")]
#[macro_export]
macro_rules! unreachable {
    ($name:expr $(,)?) => {
        $crate::assert::unreachable(
            $crate::__site!(Unreachable, $name),
            ::core::format_args!(""),
        )
    };
    ($name:expr, $format:literal $($arguments:tt)*) => {
        $crate::assert::unreachable(
            $crate::__site!(Unreachable, $name),
            ::core::format_args!($format $($arguments)*),
        )
    };
}

/// Says that the program never comes here: `unreachable!("name")`, or with a message. It panics in
/// production too.
#[cfg(not(feature = "simulate"))]
#[macro_export]
macro_rules! unreachable {
    ($name:expr $(,)?) => {
        ::core::panic!("unreachable {:?} is reached", $name)
    };
    ($name:expr, $format:literal $($arguments:tt)*) => {
        ::core::panic!(
            "unreachable {:?} is reached: {}",
            $name,
            ::core::format_args!($format $($arguments)*)
        )
    };
}

/// Marks a condition that must hold at least once in a good swarm: `sometimes!(condition, "name")`.
/// The condition must have no effects: without the feature `simulate` it is not evaluated.
#[cfg(feature = "simulate")]
#[macro_export]
macro_rules! sometimes {
    ($condition:expr, $name:expr $(,)?) => {
        $crate::assert::mark($crate::__site!(Sometimes, $name), $condition)
    };
}

/// Marks a condition that must hold at least once in a good swarm: `sometimes!(condition, "name")`.
/// The condition must have no effects: without the feature `simulate` it is not evaluated.
#[cfg(not(feature = "simulate"))]
#[macro_export]
macro_rules! sometimes {
    ($condition:expr, $name:expr $(,)?) => {{
        $crate::assert::unused(|| -> bool { $condition });
    }};
}

/// Marks a place that a good swarm must reach: `reachable!("name")`.
#[cfg(feature = "simulate")]
#[macro_export]
macro_rules! reachable {
    ($name:expr $(,)?) => {
        $crate::assert::mark($crate::__site!(Reachable, $name), true)
    };
}

/// Marks a place that a good swarm must reach: `reachable!("name")`.
#[cfg(not(feature = "simulate"))]
#[macro_export]
macro_rules! reachable {
    ($name:expr $(,)?) => {{
        $crate::assert::unused(|| -> &'static str { $name });
    }};
}

/// Whether to take the rare path here, at so many millionths: `if buggify!("name", 1000) { … }`. False
/// off a simulated machine, and the constant `false` without the feature `simulate`.
#[cfg(feature = "simulate")]
#[macro_export]
macro_rules! buggify {
    ($name:expr, $ppm:expr $(,)?) => {
        $crate::assert::buggify($crate::__site!(Buggify, $name), $ppm)
    };
}

/// Whether to take the rare path here, at so many millionths: `if buggify!("name", 1000) { … }`. False
/// off a simulated machine, and the constant `false` without the feature `simulate`.
#[cfg(not(feature = "simulate"))]
#[macro_export]
macro_rules! buggify {
    ($name:expr, $ppm:expr $(,)?) => {
        $crate::assert::unused(|| -> (&'static str, u32) { ($name, $ppm) })
    };
}

/// Whether the named historical bug is planted in this run: `if planted!("name") { … }`; the name is any
/// expression of type `&'static str`. The constant `false` without the feature `simulate`.
#[cfg(feature = "simulate")]
#[macro_export]
macro_rules! planted {
    ($bug:expr $(,)?) => {
        $crate::assert::planted(|| -> &'static str { $bug })
    };
}

/// Whether the named historical bug is planted in this run: `if planted!("name") { … }`; the name is any
/// expression of type `&'static str`. The constant `false` without the feature `simulate`.
#[cfg(not(feature = "simulate"))]
#[macro_export]
macro_rules! planted {
    ($bug:expr $(,)?) => {
        $crate::assert::unused(|| -> &'static str { $bug })
    };
}
