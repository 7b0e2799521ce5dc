#pragma once

/// \file
/// What this library has for Boost.Asio, and for its coroutines: async_get(), async_recv(),
/// async_join(), async_wait(). Not part of multifork.hpp, since Asio is large; timers, signals and
/// sockets are Asio's own.

#include <multifork/asio/async_get.hpp>
#include <multifork/asio/async_join.hpp>
