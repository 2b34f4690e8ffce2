//! Declares the tables for SeaORM, as plain rows. The other files of this layer convert rows to values of `domain`, which gives
//! them their meaning.

/// Declares one table: a module with its `Model`, `Entity`, `Column` and `ActiveModel`. The model is a row that can also
/// be read by column index. No table has a SeaORM relation; queries write their joins themselves.
macro_rules! entity {
    ($(#[$doc:meta])* $module:ident = $table:literal { $($(#[$attr:meta])* $field:ident: $ty:ty),+ $(,)? }) => {
        $(#[$doc])*
        pub(crate) mod $module {
            use sea_orm::entity::prelude::*;

            $crate::store::db::row::row! {
                #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
                #[sea_orm(table_name = $table)]
                pub(crate) struct Model { $($(#[$attr])* pub(crate) $field: $ty),+ }
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub(crate) enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

pub(crate) mod record;
pub(crate) mod register;
