//! Implements the traits for `Arc<T>` and `Box<T>`, so that an `Arc<dyn Trait>` is a `Trait`.

/// Forwards every method of a trait through `Arc` and `Box`.
macro_rules! forward {
    ($(#[$meta:meta])* $trait:ident { $(fn $method:ident(&self $(, $arg:ident: $ty:ty)* $(,)?) $(-> $ret:ty)?;)* }) => {
        $crate::wrappers::forward!(@one ($(#[$meta])*) $trait, std::sync::Arc<T>, { $(fn $method(&self $(, $arg: $ty)*) $(-> $ret)?;)* });
        $crate::wrappers::forward!(@one ($(#[$meta])*) $trait, Box<T>, { $(fn $method(&self $(, $arg: $ty)*) $(-> $ret)?;)* });
    };
    (@one ($(#[$meta:meta])*) $trait:ident, $wrapper:ty, { $(fn $method:ident(&self $(, $arg:ident: $ty:ty)*) $(-> $ret:ty)?;)* }) => {
        #[deny(clippy::missing_trait_methods)]
        $(#[$meta])*
        impl<T: $trait + ?Sized> $trait for $wrapper {
            $(fn $method(&self $(, $arg: $ty)*) $(-> $ret)? {
                (**self).$method($($arg),*)
            })*
        }
    };
}
pub(crate) use forward;

/// Forwards every async method of a trait through `Arc` and `Box`.
macro_rules! forward_async {
    ($trait:ident { $($body:tt)* }) => {
        $crate::wrappers::forward_async!(@one $trait, std::sync::Arc<T>, [] $($body)*);
        $crate::wrappers::forward_async!(@one $trait, Box<T>, [] $($body)*);
    };
    (@one $trait:ident, $wrapper:ty, [$($done:tt)*]
        async fn $method:ident(&self $(, $arg:ident: $ty:ty)* $(,)?) -> $ret:ty; $($rest:tt)*) => {
        $crate::wrappers::forward_async!(@one $trait, $wrapper, [$($done)*
            async fn $method(&self $(, $arg: $ty)*) -> $ret { (**self).$method($($arg),*).await }
        ] $($rest)*);
    };
    (@one $trait:ident, $wrapper:ty, [$($done:tt)*]
        fn $method:ident(&self $(, $arg:ident: $ty:ty)* $(,)?) -> $ret:ty; $($rest:tt)*) => {
        $crate::wrappers::forward_async!(@one $trait, $wrapper, [$($done)*
            fn $method(&self $(, $arg: $ty)*) -> $ret { (**self).$method($($arg),*) }
        ] $($rest)*);
    };
    (@one $trait:ident, $wrapper:ty, [$($done:tt)*]) => {
        #[deny(clippy::missing_trait_methods)]
        #[async_trait::async_trait]
        impl<T: $trait + ?Sized> $trait for $wrapper { $($done)* }
    };
}
pub(crate) use forward_async;
