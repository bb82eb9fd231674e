#!/usr/bin/perl
# Restores one member of a mark with perl, zstd and docs/repository-format*.md, and nothing of Tidemark.
#   restore-member.pl REPOSITORY GROUP MARK-NUMBER MEMBER TARGET
# Writes TARGET/data (files), TARGET/wal (segments), and prints the cut and the verdicts of the mark.
use strict;
use warnings;
use Digest::SHA qw(sha256 sha256_hex);
use File::Path qw(make_path);
use JSON::PP;

my ($repo, $group, $mark_number, $member, $target) = @ARGV;

sub slurp { my ($path) = @_; open my $in, '<:raw', $path or die "$path: $!"; local $/; return scalar <$in>; }
sub json { return decode_json(slurp("$repo/$_[0]")); }
sub offset { my ($high, $low) = split m{/}, (split /@/, $_[0])[0]; return hex($high) * 2**32 + hex($low); }
sub unzstd {
    my ($bytes) = @_;
    open my $out, '>:raw', "$target/frame" or die $!;
    print $out $bytes;
    close $out;
    my $plain = `zstd -dcq '$target/frame'`;
    die "zstd failed" if $?;
    return $plain;
}

# Step 1: the mark says where the member's log is cut.
my $mark = json(sprintf 'groups/%s/marks/%010d', $group, $mark_number);
my ($line) = grep { $_->{name} eq $member } @{ $mark->{members} };
my $cut = $line->{cut};
print "cut $cut\n";
for my $doubt (@{ $mark->{at}{in_doubt} }) {
    next if $doubt->{branch}{member} ne $member;
    print "in-doubt $doubt->{branch}{gid} $doubt->{verdict}{decision}\n";
}

# Step 2: the newest base backup that ends at or before it.
my ($backup, $number);
for my $path (sort glob "$repo/groups/$group/members/$member/backups/*/manifest") {
    my $manifest = decode_json(slurp($path));
    ($backup, $number) = ($manifest, $manifest->{number}) if offset($manifest->{stop}) <= offset($cut);
}
die "no backup" unless $backup;

# Step 3: the page map, whose hash the manifest holds; files first, then frames.
my $map = slurp("$repo/$backup->{page_map}{key}");
die "page map damaged" if sha256_hex($map) ne $backup->{page_map}{sha256};
my ($at, %files, @frames) = (36);
my $payload;
sub v { my ($value, $shift) = (0, 0); while (1) { my $b = ord substr $payload, $at++, 1; $value |= ($b & 127) << $shift; return $value if $b < 128; $shift += 7; } }
sub z { my $n = v(); return $n & 1 ? -(($n + 1) >> 1) : $n >> 1; }
sub text { my $n = v(); $at += $n; return substr $payload, $at - $n, $n; }
my $position = 36;
while (substr($map, $position, 4) eq 'TMPC') {
    my ($chunk, $records, $length) = unpack 'x4 V3', substr $map, $position, 16;
    ($payload, $at) = (substr($map, $position + 36, $length), 0);
    for (1 .. $records) {
        my $type = ord substr $payload, $at++, 1;
        if ($type == 1) {
            my $index = v();
            my $kind = ord substr $payload, $at++, 1;
            my ($mode, $time, $size) = (v(), z(), v());
            $files{$index} = { kind => $kind, mode => $mode, size => $size, path => text(), link => text() };
        } else {
            my %frame = (backup => v(), lease => v(), pack => v(), offset => v(), stored => v(), plain => v());
            $frame{hash} = substr $payload, $at + 8, 16;
            $at += 24;
            my ($file, $end, $plain_end, $last) = (0, 0, 0, -1);
            for (1 .. v()) {
                $file += z();
                my $start = z() + ($file == $last ? $end : 0);
                my $count = v();
                my $in = $plain_end + z();
                push @{ $frame{extents} }, [ $file, $start, $count, $in ];
                ($end, $plain_end, $last) = ($start + $count, $in + $count, $file);
            }
            push @frames, \%frame;
        }
    }
    $position += 36 + $length;
}

# Step 4: folders, files of the right size, then the bytes of every frame.
make_path("$target/data", { mode => 0700 });
for my $file (sort { $a->{path} cmp $b->{path} } values %files) {
    die "path $file->{path}" if $file->{path} =~ m{(^|/)\.\.?(/|$)|^/};
    if ($file->{kind} == 2) { make_path("$target/data/$file->{path}", { mode => 0700 }); next; }
    next if $file->{kind} == 3;
    my $dir = $file->{path} =~ s{/?[^/]*$}{}r;
    make_path("$target/data/$dir", { mode => 0700 });
    open my $out, '>:raw', "$target/data/$file->{path}" or die "$file->{path}: $!";
    truncate $out, $file->{size};
    close $out;
    chmod $file->{mode}, "$target/data/$file->{path}";
}
for my $frame (@frames) {
    my $pack = sprintf '%s/groups/%s/members/%s/packs/%010d-%010d-%06d', $repo, $group, $member, @$frame{qw(backup lease pack)};
    open my $in, '<:raw', $pack or die "$pack: $!";
    seek $in, $frame->{offset}, 0;
    read $in, my $bytes, 56 + $frame->{stored};
    my $stored = substr $bytes, 56;
    die "frame damaged" if substr(sha256($stored), 0, 16) ne $frame->{hash};
    my $plain = ord(substr $bytes, 16, 1) == 1 ? unzstd($stored) : $stored;
    for my $extent (@{ $frame->{extents} }) {
        my ($file, $start, $count, $from) = @$extent;
        open my $out, '+<:raw', "$target/data/$files{$file}{path}" or die $!;
        seek $out, $start, 0;
        print $out substr $plain, $from, $count;
        close $out;
    }
}

# Step 5: backup_label as the server gave it, and a sign that this is a recovery.
open my $label, '>:raw', "$target/data/backup_label" or die $!;
print $label $backup->{backup_label};
close $label;
open my $signal, '>', "$target/data/recovery.signal" or die $!;
close $signal;

# Step 6: log pieces into segments, zeros after the last byte.
make_path("$target/wal", { mode => 0700 });
my $segment = $backup->{identity}{log_segment_size};
for my $piece (sort glob "$repo/groups/$group/members/$member/log/*/*-*.??????????") {
    my ($epoch, $from) = $piece =~ m{/([0-9a-f]{8})/([0-9a-f]{16})-};
    my $bytes = `zstd -dcq '$piece'`;
    die "zstd failed for $piece" if $?;
    ($epoch, $from) = (hex $epoch, hex $from);
    while (length $bytes) {
        my $in = $from % $segment;
        my $count = $segment - $in < length $bytes ? $segment - $in : length $bytes;
        my $per = 2**32 / $segment;
        my $n = int($from / $segment);
        my $name = sprintf '%08X%08X%08X', $epoch, int($n / $per), $n % $per;
        open my $out, -e "$target/wal/$name" ? '+<:raw' : '>:raw', "$target/wal/$name" or die $!;
        truncate $out, $segment unless -s "$target/wal/$name";
        seek $out, $in, 0;
        print $out substr $bytes, 0, $count, '';
        close $out;
        $from += $count;
    }
}
unlink "$target/frame";
