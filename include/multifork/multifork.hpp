#pragma once

/// \file
/// Everything: `#include <multifork/multifork.hpp>` and `namespace mp = multifork;`

#include <multifork/arena/object.hpp>
#include <multifork/arena/space.hpp>
#include <multifork/channel/array.hpp>
#include <multifork/channel/connection.hpp>
#include <multifork/channel/copy.hpp>
#include <multifork/channel/crossing.hpp>
#include <multifork/channel/joinable_queue.hpp>
#include <multifork/channel/listener.hpp>
#include <multifork/channel/pipe.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/channel/raw_value.hpp>
#include <multifork/channel/shareable_list.hpp>
#include <multifork/channel/shared_memory.hpp>
#include <multifork/channel/simple_queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/channel/waitable.hpp>
#include <multifork/error.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/pool/wait.hpp>
#include <multifork/process/context.hpp>
#include <multifork/process/cpu_count.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/start_method.hpp>
#include <multifork/process/this_process.hpp>
#include <multifork/sync/barrier.hpp>
#include <multifork/sync/bounded_semaphore.hpp>
#include <multifork/sync/condition.hpp>
#include <multifork/sync/event.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/rlock.hpp>
#include <multifork/sync/rwlock.hpp>
#include <multifork/sync/semaphore.hpp>
#include <multifork/version.hpp>
