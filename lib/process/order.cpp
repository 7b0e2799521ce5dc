#include "process/order.hpp"

#include "arena/space_impl.hpp"
#include "channel/passed_descriptors.hpp"
#include "platform/immortal.hpp"
#include "platform/log.hpp"
#include "process/in_child.hpp"
#include "process/lifeline.hpp"
#include "process/self.hpp"
#include "process/start_method.hpp"

#include <multifork/channel/connection.hpp>

#include <csignal>
#include <memory>
#include <optional>
#include <utility>

namespace multifork::detail {
namespace {

void write(ByteWriter& writer, const arena::ObjectAddress& address) {
    writer(address.offset, address.serial, address.bytes, address.kind, address.name);
}
void read(ByteReader& reader, arena::ObjectAddress& address) {
    reader(address.offset, address.serial, address.bytes, address.kind, address.name);
}

// Kept until the process ends, also when its parent has gone: exit handlers tell it things.
constinit platform::Immortal<std::optional<arena::Object>> own_board;
bool born = false; // set before the target runs, and never changed again

std::uint64_t blocked_signals() noexcept {
    sigset_t set;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &set);
    std::uint64_t blocked = 0;
    for (int number = 1; number <= 64; ++number)
        if (::sigismember(&set, number) == 1)
            blocked |= 1ull << (number - 1);
    return blocked;
}
void block_signals(std::uint64_t blocked) noexcept {
    sigset_t set;
    ::sigemptyset(&set);
    for (int number = 1; number <= 64; ++number)
        if ((blocked >> (number - 1) & 1) != 0)
            ::sigaddset(&set, number);
    ::pthread_sigmask(SIG_SETMASK, &set, nullptr);
}

Order read_order(ByteReader& reader) {
    Order order;
    std::uint32_t method = 0;
    reader(order.name, order.daemon, order.identity, order.parent_pid, order.parent_name, method,
           order.authkey, order.log_bits, order.blocked_signals);
    order.method = static_cast<StartMethod>(method);
    read(reader, order.board);
    return order;
}

} // namespace

WrittenOrder write_order(Order order, const arena::Object& board, const Callable& target,
                         arena::ProcessId child) {
    std::vector<std::byte> bytes;
    ByteWriter writer(bytes);
    arena::Cargo cargo;
    const arena::BoundFor bound(child);
    Travellers travellers;
    PassedDescriptors passed;
    if (board)
        order.board = arena::address_of(board);
    writer(order.name, order.daemon, order.identity, order.parent_pid, order.parent_name,
           static_cast<std::uint32_t>(order.method), order.authkey, platform::log_state().bits,
           blocked_signals());
    write(writer, order.board);
    target.write(writer);

    WrittenOrder written;
    written.passed = passed.take();
    arena::Handover& told = written.told;
    told.descriptors = written.passed.size();
    told.bytes = arena::tree_space().impl().heap.segment().bytes;
    told.self = child;
    told.parcel = arena::give_parcel(bytes, cargo, child);
    told.parcel_bytes = bytes.size();
    travellers.arrived();
    written.kept = cargo.take();
    std::erase_if(written.kept,
                  [](const arena::Object& object) { return !arena::is_named(object); });
    return written;
}

void take_passed(const arena::Handover& told) {
    std::vector<platform::Descriptor> fds;
    for (std::uint64_t i = 0; i < told.descriptors; ++i)
        fds.emplace_back(passed_place + static_cast<int>(i));
    note_arrived(std::move(fds));
}

bool is_being_born() noexcept {
    return arena::handover().has_value() && !born;
}

int follow_order(const arena::Handover& told) {
    born = true;
    static_cast<void>(liveness::enter(arena::tree_space().domain()));
    auto parcel = std::make_unique<arena::Parcel>(told.parcel, told.parcel_bytes);
    ByteReader reader(parcel->bytes());
    Order order = read_order(reader);
    Self& me = self();
    me.parent = ParentProcess{order.parent_pid, std::move(order.parent_name)};
    me.name = order.name;
    me.identity = std::move(order.identity);
    me.children_named = 0;
    me.daemon = order.daemon;
    me.authkey = std::move(order.authkey);
    platform::set_log_state({order.log_bits});
    inherit_start_method(order.method);
    if (order.method == StartMethod::forkserver)
        block_signals(order.blocked_signals); // not those of who started the server, long ago
    if (order.board.kind != 0)
        report_to(board_in(own_board->emplace(arena::object_at(order.board, arena::Kind::board))));
    return run_reporting([&] {
        if (order.daemon)
            hold_on_to_parent();
        auto target = read_callable(reader);
        parcel.reset();
        drop_arrived();
        (*target)();
    });
}

} // namespace multifork::detail
