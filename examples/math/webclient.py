import sys
import xmlrpc.client

port = sys.argv[1] if len(sys.argv) > 1 else 8000
math = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}/service/math")
print(math.multiply(6, 7))
try:
    math.divide(42, 0)
except xmlrpc.client.Fault as fault:
    print(fault.faultCode, fault.faultString)
