#pragma once

/// \file
/// Mutants: deliberate mistakes that the crash tests must catch. They exist only in the library
/// that the crash tests link, which is compiled with MULTIFORK_MUTANTS; anywhere else
/// MULTIFORK_MUTANT(x) is the constant false and costs nothing.

#ifdef MULTIFORK_MUTANTS
namespace multifork::mutants {
enum class Mutant {
    none,
    no_bell,          ///< enter() does not arm the death bell
    no_relay,         ///< who hears of a death tells nobody
    commit_first,     ///< a queue commits before the payload is there
    no_value_check,   ///< a sleeper does not check the commit word when it arms
    no_recompute,     ///< the heir of a semaphore does not recompute its value
    no_keep_waiters,  ///< a woken waiter takes the lock without the waiters bit
    torn_update,      ///< Value::update writes in place
    no_block_repair,  ///< the heir of a queue's lock leaves the dead one's message block
    no_heap_rebuild,  ///< the heir of the arena's lock trusts the free lists
    publish_early,    ///< a slot says alive before it is in the robust list
    silent_return,    ///< who leaves a slot does not change the relay epoch
    wake_no_leftover, ///< who takes a free slot does not wake whom its last user left asleep
    no_sweep,         ///< blocks of dead threads stay
    any_position,     ///< the heir of a queue's lock takes whatever block lies in the slot
    give_first,       ///< a block is the queue's before a slot names it
    top_first,        ///< the heap's top moves before the block below it has a size
    wake_one_only,    ///< an event that is set wakes one of its sleepers
    no_hand_on,       ///< the notification of a dead waiter goes with it
    drop_first,       ///< a dead waiter's place is freed before its notification is handed on
    consume_early,    ///< a notified waiter leaves its place before it has the lock back
    unwatched_party,  ///< nobody at a barrier looks whether the others live
    no_reader_sweep,  ///< the share of a dead reader stays
    drain_unmarked,   ///< a writer that waits for readers looks like one that writes
    size_first,       ///< an array grows before the new elements are there
    lease_first,      ///< a task queue commits an item before its payload is there
    no_lease_rebuild, ///< the heir of a task queue trusts its lists
    no_redelivery,    ///< nobody looks after the leases of the dead
    count_tries_late, ///< a redelivery counts by itself, not by what the lease said
    free_before_done, ///< the block of an item goes before the item is done
    list_in_place,    ///< a ShareableList overwrites the item that counts
    silent_end,       ///< who gives an end of a pipe up wakes nobody
    blind_end,        ///< who waits at a pipe does not sleep on the beacons of its peers
    keep_wake_up,     ///< who waited for several things keeps the wake-up that it got
    unseen_change,    ///< nor on the number of ends given up
    unseen_traveller, ///< nor on the entry of an end that travels
    keep_orphans,     ///< a sweep leaves the holds of messages that are not there any more
    count_first,      ///< a list counts an element before it is there
    give_late,        ///< an element's block is the container's only after the commit
    free_old_first,   ///< what a container replaces is freed before the commit
    keep_leftovers,   ///< the heir of a container's lock leaves the dead one's blocks
    trust_index,      ///< the heir of a dict's lock takes its index as it is
    keep_debt,        ///< who leaves a queue keeps the wake-up that it got
    tell_nobody,      ///< who is woken and told of a dead owner tells nobody
    bell_in_front,    ///< a sleeper names the bell before the relay and other plain words
    one_look,         ///< a sweep does not look again at a block whose owner is dead
    trust_links,      ///< who leaves a slot follows links that others may have overwritten
    divide_forward,   ///< a run of free blocks is divided from the first block to the last
    named_unheld,     ///< a fork does not wait for the lock of the named segments,
    pipe_ends_unheld, ///< nor for that of the ends of pipes,
    domains_unheld,   ///< nor for that of the spaces that are open,
    self_unheld,      ///< nor for that of the process's own names,
    children_unheld,  ///< nor for that of its children,
    lookouts_unheld,  ///< nor for that of the lookouts
    head_first,       ///< a worker moves past a task before it has taken it
    keep_asleep,      ///< who was woken for a task and sees more of them wakes nobody
    result_unnamed,   ///< a result is the table's before its slot names it
    claim_unnamed,    ///< a worker takes a chunk of a map before it says which
    no_last_look,     ///< nobody looks for chunks that the dead have left
    making_unnamed,   ///< a chunk's result is the table's before anything names it
    ring_first,       ///< a worker of a pool says that a task is done before it is
    deaf_director,    ///< the director of a step gate does not look whether the part lives
    instant_birth,    ///< a birth is over when it has begun, before the fork
    blind_drop,       ///< who drops an object does not ask whether a process is being forked
    forget_one_more,  ///< a sweep forgets the last of the processes that run, too
    arrive_first,     ///< a part stands at its gate before it says what it is about to do
    wake_the_dead,    ///< an idle worker counts as woken whether or not it slept
};
extern Mutant active;
} // namespace multifork::mutants
#define MULTIFORK_MUTANT(name) (::multifork::mutants::active == ::multifork::mutants::Mutant::name)
#else
#define MULTIFORK_MUTANT(name) false
#endif
