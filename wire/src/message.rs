//! One table makes a message: its struct, its decoder and its encoder come from the same offsets, and the compiler
//! checks that the fields lie side by side and fill the message.

/// Declares a message: `Name: type, length { field: type = offset, … }`, with `+ appendage` behind it when the
/// message ends in a 2-byte length and an appendage (which `length` counts as its 2 bytes).
macro_rules! message {
    (
        $(#[$doc:meta])*
        $name:ident: $kind:literal, $len:literal {
            $( $(#[$field_doc:meta])* $field:ident: $ty:ty = $at:literal, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[doc = concat!("\n\nAt offset ", $at, ".")]
                pub $field: $ty,
            )*
        }

        impl $name {
            /// Decodes a whole message.
            ///
            /// # Errors
            /// Another type, another length, or text that is not printable ASCII.
            #[inline(always)]
            pub fn decode(message: &[u8]) -> Result<Self, DecodeError> {
                let head: &[u8; $len] = match message.try_into() {
                    Ok(head) => head,
                    Err(_) => return Err(Self::wrong_length($len, message)),
                };
                Self::check(head)?;
                Ok(Self { $( $field: Field::read(&head[$at..$at + size_of::<$ty>()]), )* })
            }

            /// Appends the whole message. Text is written as it is; [`decode`](Self::decode) refuses what is not
            /// printable ASCII.
            #[inline]
            pub fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.head());
            }
        }

        message!(@shared ($name) ($name), $kind, $len, 0 { $( $field: $ty = $at, )* });
    };
    (
        $(#[$doc:meta])*
        $name:ident: $kind:literal, $len:literal {
            $( $(#[$field_doc:meta])* $field:ident: $ty:ty = $at:literal, )*
        } + appendage
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a> {
            $(
                $(#[$field_doc])*
                #[doc = concat!("\n\nAt offset ", $at, ".")]
                pub $field: $ty,
            )*
            /// The optional fields.
            pub appendage: Appendage<'a>,
        }

        impl<'a> $name<'a> {
            /// Decodes a whole message.
            ///
            /// # Errors
            /// Another type, another length, text that is not printable ASCII, or a faulty appendage.
            #[inline(always)]
            pub fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
                let Some((head, rest)) = message.split_first_chunk::<$len>() else {
                    return Err(Self::wrong_length($len, message));
                };
                let announced = usize::from(<u16 as Field>::read(&head[$len - 2..]));
                if announced != rest.len() {
                    return Err(Self::wrong_length($len + announced, message));
                }
                Self::check(head)?;
                let appendage = Appendage::decode(rest)?;
                Ok(Self { $( $field: Field::read(&head[$at..$at + size_of::<$ty>()]), )* appendage })
            }

            /// Appends the whole message. Text is written as it is; [`decode`](Self::decode) refuses what is not
            /// printable ASCII.
            #[inline]
            pub fn encode(&self, out: &mut Vec<u8>) {
                let mut head = self.head();
                head[$len - 2..].copy_from_slice(&self.appendage.len().to_be_bytes());
                out.extend_from_slice(&head);
                out.extend_from_slice(self.appendage.as_bytes());
            }
        }

        message!(@shared ($name<'_>) ($name), $kind, $len, 2 { $( $field: $ty = $at, )* });
    };
    (
        @shared ($self:ty) ($name:ident), $kind:literal, $len:literal, $tail:literal {
            $( $field:ident: $ty:ty = $at:literal, )*
        }
    ) => {
        impl $self {
            /// The type: the message's first byte.
            pub const TYPE: u8 = $kind;
            /// Bytes of the message, its type included, without what an appendage holds.
            pub const LEN: usize = $len;

            /// Checks the type and all text, where they lie: one test for all fields. What is built afterwards is
            /// built in its place, and is not read again while it is still on its way to memory.
            #[inline(always)]
            fn check(head: &[u8; $len]) -> Result<(), DecodeError> {
                let valid = (head[0] == $kind) $( & <$ty>::is_valid(&head[$at..$at + size_of::<$ty>()]) )*;
                if valid { Ok(()) } else { Err(Self::fault(head)) }
            }

            /// What is wrong with the first part that is.
            #[cold]
            fn fault(head: &[u8; $len]) -> DecodeError {
                $(
                    let bytes = &head[$at..$at + size_of::<$ty>()];
                    if head[0] == $kind && !<$ty>::is_valid(bytes) {
                        let found = first_unprintable(bytes).unwrap_or_default();
                        return DecodeError::Text { message: stringify!($name), field: stringify!($field), found };
                    }
                )*
                DecodeError::UnknownType { found: head[0] }
            }

            /// Appends the whole message, if its text is text.
            #[allow(dead_code, reason = "what a venue never sends needs no check")]
            #[inline]
            pub(crate) fn encode_checked(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
                let valid = true $( & self.$field.may_be_written() )*;
                if !valid {
                    return Err(Self::fault(&self.head()));
                }
                self.encode(out);
                Ok(())
            }

            #[cold]
            fn wrong_length(expected: usize, message: &[u8]) -> DecodeError {
                match message {
                    [] => DecodeError::Empty,
                    &[kind, ..] if kind != Self::TYPE => DecodeError::UnknownType { found: kind },
                    _ => DecodeError::Length { message: stringify!($name), expected, found: message.len() },
                }
            }

            #[inline(always)]
            fn head(&self) -> [u8; $len] {
                let mut head = [0; $len];
                head[0] = $kind;
                $( self.$field.write(&mut head[$at..$at + size_of::<$ty>()]); )*
                head
            }
        }

        const _: () = {
            let at = 1;
            $(
                assert!(at == $at, concat!(stringify!($name), ".", stringify!($field), " leaves a gap"));
                let at = at + size_of::<$ty>();
            )*
            assert!(at + $tail == $len, concat!(stringify!($name), " has another length"));
        };
    };
}
