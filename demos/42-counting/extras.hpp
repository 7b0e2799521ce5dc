#pragma once

#include "toolkit/claims.hpp"

/// A child may be joined before its queue is emptied: however big its item is, but not when the
/// queue has no room for it.
void check_join_before_get(demo::Claims& claims, bool brief);

/// To make a thread and join it takes less time than a process, by the quickest of so many.
void check_costs(demo::Claims& claims, int of_each);
