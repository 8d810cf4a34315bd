// What does a packet cost in Go? Package net, ReadFromUDP in a goroutine, pion/rtp, a map of streams, mu-law by table.
// The same few lines as per_packet.py; arguments: the socket's descriptor, a directory, what to say when ready.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/pion/rtp"
)

const (
	strep1     = 0b110001
	strepBytes = 24
)

type key struct {
	leg  [16]byte
	bits byte // L << 1 | D
}

type stream struct {
	sequenceNumbers []uint16
	checksum        uint64
}

var (
	pcmOfPCMU [256]int16
	received  int64
	rejected  int64
	streams   = map[key]*stream{}
)

func init() { // ITU-T G.711 table 2a, in 16 bits
	for code := range pcmOfPCMU {
		inverted := ^code & 0xff
		magnitude := ((inverted&15)<<3+0x84)<<(inverted>>4&7) - 0x84
		if inverted&0x80 != 0 {
			magnitude = -magnitude
		}
		pcmOfPCMU[code] = int16(magnitude)
	}
}

func bytesOf(pcm []int16) []byte {
	if len(pcm) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&pcm[0])), 2*len(pcm))
}

func receive(datagram []byte, packet *rtp.Packet, pcm []int16) {
	if len(datagram) < strepBytes || datagram[0]>>2 != strep1 || datagram[1] != strepBytes {
		rejected++
		return
	}
	if err := packet.Unmarshal(datagram[strepBytes:]); err != nil || packet.Version != 2 || packet.PayloadType != 0 {
		rejected++
		return
	}
	id := key{bits: datagram[0] & 3}
	copy(id.leg[:], datagram[8:24])
	found := streams[id]
	if found == nil {
		found = &stream{}
		streams[id] = found
	}
	pcm = pcm[:len(packet.Payload)]
	for i, code := range packet.Payload {
		pcm[i] = pcmOfPCMU[code]
	}
	found.sequenceNumbers = append(found.sequenceNumbers, packet.SequenceNumber)
	found.checksum += uint64(crc32.ChecksumIEEE(bytesOf(pcm)))
}

func receiveAll(conn *net.UDPConn, done chan<- struct{}) {
	defer close(done)
	buffer, pcm := make([]byte, 2048), make([]int16, 2048)
	var packet rtp.Packet
	for {
		n, _, err := conn.ReadFromUDP(buffer)
		if err != nil {
			return
		}
		receive(buffer[:n], &packet, pcm)
		atomic.AddInt64(&received, 1)
	}
}

func mark() map[string]any {
	var usage syscall.Rusage
	var now syscall.Timespec
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&now)), 0) // CLOCK_MONOTONIC
	return map[string]any{
		"now_ns":     now.Nano(),
		"received":   atomic.LoadInt64(&received),
		"cpu_ns":     usage.Utime.Nano() + usage.Stime.Nano(),
		"threads_ns": map[string]int64{},
	}
}

func refereeNs() float64 {
	const count = 20000
	pcm, sum, best := make([]int16, 160), uint64(0), time.Hour
	for repeat := 0; repeat < 3; repeat++ {
		found, start := stream{}, time.Now()
		for i := 0; i < count; i++ {
			pcm[0] = int16(i)
			found.sequenceNumbers = append(found.sequenceNumbers, 1)
			sum += uint64(crc32.ChecksumIEEE(bytesOf(pcm)))
		}
		if took := time.Since(start); took < best && sum > 0 {
			best = took
		}
	}
	return float64(best.Nanoseconds()) / count
}

func evidence(directory string) map[string]any {
	all, numbers := []map[string]any{}, []uint16{}
	for id, found := range streams {
		all = append(all, map[string]any{
			"leg": hex.EncodeToString(id.leg[:]), "leg_direction": id.bits,
			"checksum": found.checksum, "count": len(found.sequenceNumbers),
		})
		numbers = append(numbers, found.sequenceNumbers...)
	}
	described := fmt.Sprintf("{'descr': '<u2', 'fortran_order': False, 'shape': (%d,), }", len(numbers))
	// With the ten bytes before it, a multiple of 64.
	file := []byte("\x93NUMPY\x01\x00\x76\x00" + described + strings.Repeat(" ", 117-len(described)) + "\n")
	for _, number := range numbers {
		file = append(file, byte(number), byte(number>>8))
	}
	path := filepath.Join(directory, "sequence_numbers.npy")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		panic(err)
	}
	return map[string]any{
		"received": received, "rejected": rejected, "streams": all, "sequence_numbers": path, "referee_ns": refereeNs(),
	}
}

func say(answer map[string]any) {
	line, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(line, '\n'))
}

func main() {
	descriptor, _ := strconv.Atoi(os.Args[1])
	opened, err := net.FilePacketConn(os.NewFile(uintptr(descriptor), "socket"))
	if err != nil {
		panic(err)
	}
	syscall.Close(descriptor) // the connection has a duplicate
	conn, done := opened.(*net.UDPConn), make(chan struct{})
	go receiveAll(conn, done)
	os.Stdout.WriteString(os.Args[3] + "\n")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var request struct{ Command string }
		if json.Unmarshal(lines.Bytes(), &request); request.Command != "stop" {
			say(mark())
			continue
		}
		conn.Close()
		<-done
		say(mark())
		say(evidence(os.Args[2]))
	}
}
