#include <multifork/pool/task.hpp>

#include <multifork/error.hpp>

#include <atomic>
#include <cstring>
#include <utility>

namespace multifork::detail {
namespace {

constinit thread_local bool spare_has_gone = false; // the thread is at its end
/// Constant-initialised: only its end needs to be registered, by each thread for itself.
struct SpareBuffer {
    std::vector<std::byte> bytes;
    ~SpareBuffer() { spare_has_gone = true; }
};
constinit thread_local SpareBuffer spare_buffer;
constexpr std::size_t keep_spare_bytes = 1u << 16;

// Numbers for blocks of tasks; results have the positions of their tasks, which stay below.
constinit std::atomic<std::uint64_t> next_block{1ull << 62};

} // namespace

TaskBlock::TaskBlock(arena::Object table, std::size_t bytes)
    : table_(std::move(table)), offset_(table_.space().allocate(bytes, arena::Kind::bytes)),
      bytes_(bytes) {}

TaskBlock::~TaskBlock() {
    arena::Space& space = table_.space();
    if (!published_ || space.take_from_ring(offset_, table_.offset(), position_))
        space.free(offset_);
}

std::byte* TaskBlock::data() const noexcept {
    return table_.space().at(offset_);
}

void TaskBlock::publish(const arena::Cargo& cargo) {
    cargo.load_onto(table_.space(), offset_);
    position_ = next_block.fetch_add(1);
    table_.space().give_to_ring(offset_, table_.offset(), position_);
    published_ = true;
}

Scratch::Scratch() noexcept {
    if (spare_has_gone)
        return;
    bytes_ = std::move(spare_buffer.bytes);
    bytes_.clear();
}
Scratch::~Scratch() {
    if (!spare_has_gone && bytes_.capacity() <= keep_spare_bytes)
        spare_buffer.bytes = std::move(bytes_);
}

PoolTask::~PoolTask() = default;

std::uint64_t make_result_block(const PoolTable& pool, std::span<const std::byte> bytes,
                                const arena::Cargo& cargo) {
    arena::Space& space = pool.object().space();
    const std::uint64_t length = bytes.size();
    const std::uint64_t block = space.allocate(sizeof length + bytes.size(), arena::Kind::bytes);
    std::memcpy(space.at(block), &length, sizeof length);
    if (!bytes.empty())
        std::memcpy(space.at(block) + sizeof length, bytes.data(), bytes.size());
    try {
        cargo.load_onto(space, block);
    } catch (...) {
        space.free(block);
        throw;
    }
    return block;
}

std::span<const std::byte> read_result_block(const PoolTable& pool, std::uint64_t block) {
    const arena::Space& space = pool.object().space();
    std::uint64_t length = 0;
    std::memcpy(&length, space.checked(block, sizeof length), sizeof length);
    if (length > ~std::uint64_t{0} - sizeof length)
        throw CorruptSharedMemory("the result of a task has an impossible length: its memory was "
                                  "overwritten; look for a task that writes where it should not");
    return {space.checked(block, sizeof length + length) + sizeof length, length};
}

PoolTable::PoolTable(core::TaskShape shape)
    : object_(arena::Object::make(shape.bytes(), crossing_kind, [](std::byte*) {})), shape_(shape) {
}
PoolTable::PoolTable(arena::Object object, core::TaskShape shape) noexcept
    : object_(std::move(object)), shape_(shape) {}

core::TaskTable PoolTable::view() const noexcept {
    core::TaskTable table;
    table.header = reinterpret_cast<core::TaskHeader*>(object_.data());
    table.shape = shape_;
    table.domain = &object_.space().domain();
    return table;
}

arena::Crossing PoolTable::crossing() const {
    return {object_, {shape_.seats, shape_.slots}};
}

PoolTable PoolTable::arrive(const arena::Crossing& crossing) {
    const core::TaskShape shape{static_cast<std::uint32_t>(crossing.words[0]),
                                static_cast<std::uint32_t>(crossing.words[1])};
    arena::check_arrived(crossing, shape.bytes());
    return {crossing.object, shape};
}

} // namespace multifork::detail
