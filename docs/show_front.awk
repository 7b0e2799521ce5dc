# For docs/Doxyfile, which leaves out namespace detail: shows PoolFront and ExecutorFront, whose members are
# what one calls of pools and executors, as if they lay outside of it.

# What may belong to the class that follows.
/^(\/\/\/|template )/ { held = held $0 "\n"; next }
/^class (PoolFront|ExecutorFront) / { held = "} namespace multifork {\n" held; inside = 1 }
{
    gsub(/detail::PoolFront/, "PoolFront")
    gsub(/detail::ExecutorFront/, "ExecutorFront")
    printf "%s%s\n", held, $0
    held = ""
}
inside && /^};/ { print "} namespace multifork::detail {"; inside = 0 }
