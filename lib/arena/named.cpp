#include "arena/named.hpp"

#include "arena/object_hold.hpp"
#include "arena/space_impl.hpp"
#include "memory/segment_file.hpp"
#include "platform/immortal.hpp"

#include <multifork/core/dict_table.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <span>

// Named objects: one file each, one object in each file. memory/segment_file.hpp has the rules by
// which files come and go; this file puts objects into them and checks what is found there.

namespace multifork::arena {
namespace {

constexpr std::uint32_t named_thread_slots = 1024;
// A named segment has no objects that a process could own, so it keeps no processes.
constexpr std::uint32_t named_process_slots = 1;

/// The named segments that this process has open. A second open of the same file shares the first
/// one's mapping, so that a thread has one name in it.
struct OpenSegments {
    std::mutex mutex;
    std::vector<std::weak_ptr<NamedSpace>> open;
};

constinit platform::Immortal<OpenSegments> all_segments;

OpenSegments& segments() noexcept {
    return *all_segments;
}

std::size_t segment_bytes(const Identity& identity) {
    constexpr std::size_t most = std::size_t{1} << 37;
    if (identity.root_bytes > most || identity.message_bytes > most)
        throw InvalidArgument(fmt::format(
            "a named {} of {} bytes with {} for messages was asked for; at most {} each will do",
            identity.what, identity.root_bytes, identity.message_bytes, most));
    const std::uint64_t root = size_class(identity.root_bytes + sizeof(BlockHeader)).bytes;
    const std::uint64_t bytes =
        heap_offset(named_thread_slots, named_process_slots) + root + identity.message_bytes;
    return (bytes + 4095) / 4096 * 4096;
}

/// A type's name as a header keeps it. Of a long one the end is a hash of the whole: two that
/// differ further back are two types all the same.
std::string stored_type_name(std::string_view name) {
    constexpr std::size_t room = std::tuple_size_v<decltype(SegmentHeader::type_name)> - 1;
    if (name.size() <= room)
        return std::string(name);
    const std::string hash =
        fmt::format("#{:016x}", core::stable_hash(std::as_bytes(std::span(name))));
    return std::string(name.substr(0, room - hash.size())) + hash;
}

void check_identity(const SegmentHeader& header, const Identity& wanted, std::string_view name) {
    const std::string_view found(header.type_name.data(),
                                 ::strnlen(header.type_name.data(), header.type_name.size()));
    const std::string type = stored_type_name(wanted.type_name);
    if (header.root_kind != static_cast<std::uint32_t>(wanted.kind) || found != type ||
        (wanted.any_size ? header.root_bytes < wanted.least_bytes
                         : header.root_bytes != wanted.root_bytes))
        throw LayoutMismatch(fmt::format("'{}' exists, but as an object of {} bytes with element "
                                         "type '{}', not as the {} of {} bytes with "
                                         "element type '{}' that was asked for; use the same type "
                                         "and capacity in all programs, or another "
                                         "name",
                                         name, header.root_bytes, found, wanted.what,
                                         wanted.root_bytes, type));
    if (!std::equal(std::begin(wanted.parameters), std::end(wanted.parameters),
                    std::begin(header.parameters)))
        throw LayoutMismatch(fmt::format(
            "'{}' exists, but with other parameters ({}, {}) than asked for ({}, {}); use the same "
            "capacity in all programs, or another name",
            name, header.parameters[0], header.parameters[1], wanted.parameters[0],
            wanted.parameters[1]));
}

/// Checks everything that the code below will believe, before anything is mapped.
void check_header(const SegmentHeader& header, std::size_t file_bytes, std::string_view name) {
    const auto refuse = [&](std::string_view why) {
        throw LayoutMismatch(fmt::format(
            "the shared memory file of '{}' cannot be used: {}; if no program uses it, take it "
            "away with "
            "remove(\"{}\"), else build all programs with the same version of multifork",
            name, why, name));
    };
    if (header.magic != segment_magic)
        refuse("it was not made by multifork");
    if (header.version != layout_version)
        refuse(fmt::format("it has layout version {}, this program has {}", header.version,
                           layout_version));
    if (header.pointer_bytes != sizeof(void*) || header.byte_order != 0x0102)
        refuse(fmt::format("it was made by a program with {}-byte pointers or another byte order",
                           header.pointer_bytes));
    const bool slots_fit = header.thread_slots > 0 && header.thread_slots <= liveness::max_slots &&
                           header.process_slots > 0 && header.process_slots <= 65536;
    if (header.bytes != file_bytes || !slots_fit ||
        header.heap_begin != heap_offset(header.thread_slots, header.process_slots) ||
        header.root < header.heap_begin + sizeof(BlockHeader) || header.root >= file_bytes ||
        header.root % block_unit != 0 || header.root_bytes > file_bytes - header.root)
        refuse(fmt::format(
            "it is {} bytes long and does not fit what its header says ({} bytes): it was "
            "cut or overwritten",
            file_bytes, header.bytes));
}

/// How a named segment's mapping ends, on every path: threads of this process may have their
/// beacons in it, and the last one to leave unmaps it.
struct CloseMapping {
    void operator()(Space::Impl* impl) const noexcept {
        impl->domain.on_unused = [](liveness::Domain& domain) noexcept {
            delete static_cast<Space::Impl*>(domain.owner);
        };
        impl->domain.close();
    }
};
using MappedSegment = std::unique_ptr<Space::Impl, CloseMapping>;

MappedSegment make_segment(memory::NewSegmentFile& file, const Identity& identity,
                           const std::function<void(std::byte*)>& init) {
    const SegmentShape shape{segment_bytes(identity), named_thread_slots, named_process_slots};
    MappedSegment impl(new Space::Impl(file.open_to_map().get(), shape));
    Space::Impl::format(impl->mapping.data(), shape);
    Heap& heap = impl->heap;
    heap.header().committed = shape.bytes; // the file has all its pages already
    const std::uint64_t block = heap.allocate(identity.root_bytes, identity.kind);
    heap.block(block).owner = root_owner;

    SegmentHeader& header = heap.segment();
    header.root = block + sizeof(BlockHeader);
    header.root_kind = static_cast<std::uint32_t>(identity.kind);
    header.root_bytes = identity.root_bytes;
    std::copy(std::begin(identity.parameters), std::end(identity.parameters),
              std::begin(header.parameters));
    const std::string type = stored_type_name(identity.type_name);
    std::copy(type.begin(), type.end(), header.type_name.begin());
    init(impl->mapping.data() + header.root);
    header.magic = segment_magic;
    return impl;
}

std::shared_ptr<NamedSpace> share(MappedSegment impl, std::uint64_t root, std::size_t root_bytes,
                                  memory::SegmentFile file, std::string_view name) {
    auto space = std::make_shared<NamedSpace>(std::unique_ptr<Space::Impl>(impl.release()), root,
                                              root_bytes, std::move(file), std::string(name));
    segments().open.push_back(space);
    return space;
}

std::shared_ptr<NamedSpace> find_open(memory::FileId id) {
    auto& open = segments().open;
    std::erase_if(open, [](const auto& weak) { return weak.expired(); });
    for (const auto& weak : open)
        if (auto space = weak.lock(); space && space->file().id() == id)
            return space;
    return nullptr;
}

/// \param check  refuses a header that is not what is wanted
template <class Check>
std::shared_ptr<NamedSpace> open_if_there(std::string_view name, OpenMode mode, Check check) {
    auto file = memory::SegmentFile::open(name, segment_magic);
    if (!file)
        return nullptr;
    SegmentHeader header{};
    try {
        if (mode == OpenMode::create)
            throw AlreadyExists(fmt::format(
                "'{}' exists and is in use; open it, or create one with another name", name));
        file->read(&header, sizeof header);
        check_header(header, file->bytes(), name);
        check(header);
    } catch (const Error&) {
        // Its users may have left while we looked: then we are the last one out.
        if (file->begins_with(segment_magic))
            file->close_and_remove_if_last();
        throw;
    }
    if (auto space = find_open(file->id()))
        return space;
    const SegmentShape shape{file->bytes(), header.thread_slots, header.process_slots};
    MappedSegment impl(new Space::Impl(file->open_to_map().get(), shape));
    return share(std::move(impl), header.root, header.root_bytes, std::move(*file), name);
}

[[noreturn]] void throw_not_found(std::string_view name) {
    throw NotFound(fmt::format("there is no shared object '{}'; create it first", name));
}

std::shared_ptr<NamedSpace> open_or_create(std::string_view name, OpenMode mode,
                                           const Identity& identity,
                                           const std::function<void(std::byte*)>& init) {
    for (;;) {
        if (auto space = open_if_there(name, mode, [&](const SegmentHeader& header) {
                check_identity(header, identity, name);
            }))
            return space;
        if (mode == OpenMode::open)
            throw_not_found(name);
        memory::NewSegmentFile made(name, segment_bytes(identity));
        auto impl = make_segment(made, identity, init);
        const std::uint64_t root = impl->heap.segment().root;
        if (auto file = made.publish())
            return share(std::move(impl), root, identity.root_bytes, std::move(*file), name);
        // Somebody published the same name first: look at theirs.
    }
}

} // namespace

NamedSpace::NamedSpace(std::unique_ptr<Impl> impl, std::uint64_t root, std::size_t root_bytes,
                       memory::SegmentFile file, std::string name)
    : Space(std::move(impl)), root_(root), root_bytes_(root_bytes), file_(std::move(file)),
      name_(std::move(name)) {}

NamedSpace::~NamedSpace() {
    file_.close_and_remove_if_last();
    CloseMapping{}(release());
}

std::shared_ptr<NamedSpace> open_named(const std::string& name, Kind kind, std::size_t root_bytes) {
    static_cast<void>(tree_space());
    const std::scoped_lock hold(segments().mutex);
    auto space = open_if_there(name, OpenMode::open, [&](const SegmentHeader& header) {
        if (header.root_kind != static_cast<std::uint32_t>(kind) || header.root_bytes != root_bytes)
            throw LayoutMismatch(fmt::format(
                "a handle on '{}' came, and the name means another object by now", name));
    });
    if (!space)
        throw_not_found(name);
    return space;
}

Object named_object(std::string_view name, OpenMode mode, const Identity& identity,
                    const std::function<void(std::byte*)>& init) {
    static_cast<void>(tree_space()); // its fork handlers serve named segments too
    const std::scoped_lock hold(segments().mutex);
    auto space = open_or_create(name, mode, identity, init);
    auto reference = std::make_shared<Object::Hold>();
    reference->offset = space->root();
    reference->bytes = space->root_bytes();
    reference->space = std::move(space);
    return Object(std::move(reference));
}

bool remove_named(std::string_view name) {
    return memory::SegmentFile::remove(name);
}
memory::FileId file_of(const Object& object) {
    return static_cast<NamedSpace&>(object.space()).file().id();
}
bool remove_named(std::string_view name, memory::FileId file) {
    return memory::SegmentFile::remove(name, file);
}
std::vector<std::string> remove_stale() {
    return memory::SegmentFile::remove_stale(segment_magic);
}

void leave_named_segments() noexcept {
    const std::scoped_lock hold(segments().mutex);
    for (const auto& weak : segments().open)
        if (auto space = weak.lock())
            space->file().close_and_remove_if_last();
}

void lock_named_for_fork() {
    if (!MULTIFORK_MUTANT(named_unheld))
        segments().mutex.lock();
}
void unlock_named_after_fork() noexcept {
    if (!MULTIFORK_MUTANT(named_unheld))
        segments().mutex.unlock();
}

} // namespace multifork::arena
